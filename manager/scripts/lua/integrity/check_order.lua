-- Check one page of a session's order of checkpoints for checkpoints without data, which nobody can read.
-- Uses: checkpoints integrity
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- ARGV[1] how many of the oldest checkpoints were checked before
-- ARGV[2] most checkpoints to check
-- ARGV[3] 1 to repair findings, else 0
-- Reply: {how many of the oldest are checked now, or -1 at the end, damage, key, detail, 1 if repaired else 0, ...}
local session_key, checkpoints, order = KEYS[1], KEYS[2], KEYS[3]
local first, limit, repair = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'

local ids = redis.call('ZRANGE', order, first, first + limit - 1)
local findings = { first + #ids }
local report = collect_findings(findings, repair)
for _, checkpoint_id in ipairs(ids) do
  if redis.call('HEXISTS', checkpoints, checkpoint_id) == 0 then
    report('checkpoints', order, checkpoint_id .. ' has lost its data', function()
      drop_pin(session_key, checkpoint_id)
      redis.call('ZREM', order, checkpoint_id)
      findings[1] = findings[1] - 1
    end)
  end
end
if #ids < limit then
  findings[1] = -1
end
return findings
