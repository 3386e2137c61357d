-- Looks at some of a session's checkpoints for data that its order does not list, which nobody can read.
-- Uses: chunks integrity
-- KEYS[1] hash of the checkpoints of a session
-- KEYS[2] sorted set: order of its checkpoints
-- ARGV[1] cursor, 0 to begin
-- ARGV[2] about how many checkpoints to look at
-- ARGV[3] 1 to mend what is found, else 0
-- Reply: {cursor, 0 at the end, damage, key, about, 1 where it was mended, else 0, ...}
local checkpoints, order = KEYS[1], KEYS[2]
local cursor, limit, repair = ARGV[1], ARGV[2], ARGV[3] == '1'

local some = redis.call('HSCAN', checkpoints, cursor, 'COUNT', limit)
local findings = { tonumber(some[1]) }
local found = collect_findings(findings, repair)
for i = 1, #some[2], 2 do
  local checkpoint_id = some[2][i]
  if string.sub(checkpoint_id, 1, 1) ~= COUNTS and not redis.call('ZSCORE', order, checkpoint_id) then
    found('checkpoints', checkpoints, checkpoint_id .. ' is not listed', function()
      remove_data(checkpoints, { checkpoint_id }, 1, 1)
    end)
  end
end
return findings
