-- Check one page of a session's checkpoints for data that the order does not list, and that nobody can read.
-- Uses: chunks integrity
-- KEYS[1] hash of the checkpoints of a session
-- KEYS[2] sorted set: order of its checkpoints
-- ARGV[1] cursor, 0 to begin
-- ARGV[2] about how many checkpoints to check
-- ARGV[3] 1 to repair findings, else 0
-- Reply: {cursor, 0 at the end, damage, key, detail, 1 if repaired else 0, ...}
local checkpoints, order = KEYS[1], KEYS[2]
local cursor, limit, repair = ARGV[1], ARGV[2], ARGV[3] == '1'

local page_of_fields = redis.call('HSCAN', checkpoints, cursor, 'COUNT', limit)
local findings = { tonumber(page_of_fields[1]) }
local report = collect_findings(findings, repair)
for i = 1, #page_of_fields[2], 2 do
  local checkpoint_id = page_of_fields[2][i]
  if string.sub(checkpoint_id, 1, 1) ~= COUNTS and not redis.call('ZSCORE', order, checkpoint_id) then
    report('checkpoints', checkpoints, checkpoint_id .. ' is not listed', function()
      remove_data(checkpoints, { checkpoint_id }, 1, 1)
    end)
  end
end
return findings
