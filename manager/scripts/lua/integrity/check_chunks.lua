-- Check that the counts of a session's chunks are right, and repair them if asked to. A chunk that a
-- checkpoint names but that is gone makes the checkpoint unreadable, which is reported when the checkpoint is
-- read.
-- Uses: chunks integrity
-- KEYS[1] hash of the checkpoints of a session
-- KEYS[2] sorted set: order of its checkpoints
-- ARGV[1] 1 to repair findings, else 0
-- Reply: {0, damage, key, detail, 1 if repaired else 0, ...}
local checkpoints, order = KEYS[1], KEYS[2]
local repair = ARGV[1] == '1'

local findings = { 0 }
local report = collect_findings(findings, repair)
if redis.call('HLEN', checkpoints) == redis.call('ZCARD', order) then
  return findings
end
local named, right = {}, {}
local fields = redis.call('HKEYS', checkpoints)
for _, field in ipairs(fields) do
  if string.sub(field, 1, 1) ~= COUNTS and redis.call('HSTRLEN', checkpoints, field) <= LONGEST_RECIPE then
    for _, name in ipairs(chunks_of(redis.call('HGET', checkpoints, field)) or {}) do
      named[name] = (named[name] or 0) + 1
    end
  end
end
for _, field in ipairs(fields) do
  local name = string.sub(field, 2)
  if string.sub(field, 1, 1) == COUNTS and name ~= '' then
    right[name] = named[name]
    if not named[name] then
      report('chunks', checkpoints, name .. ' is named by no checkpoint', function()
        redis.call('HDEL', checkpoints, field)
      end)
    end
  end
end
local stored = read_counts(checkpoints)
local differs = not stored and (next(right) or redis.call('HEXISTS', checkpoints, COUNTS) == 1)
for name, count in pairs(stored or {}) do
  differs = differs or right[name] ~= count
end
for name, count in pairs(right) do
  differs = differs or not stored or stored[name] ~= count
end
if differs then
  report('chunks', checkpoints, 'counts of the checkpoints that name each chunk', function()
    write_counts(checkpoints, right)
  end)
end
return findings
