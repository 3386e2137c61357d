-- Looks whether a session's checkpoints name each of its chunks as often as is noted, and mends that where it is
-- asked for. A chunk that is named and gone makes a checkpoint that cannot be read, which is told elsewhere.
-- Uses: chunks integrity
-- KEYS[1] hash of the checkpoints of a session
-- KEYS[2] sorted set: order of its checkpoints
-- ARGV[1] 1 to mend what is found, else 0
-- Reply: {0, damage, key, about, 1 where it was mended, else 0, ...}
local checkpoints, order = KEYS[1], KEYS[2]
local repair = ARGV[1] == '1'

local findings = { 0 }
local found = collect_findings(findings, repair)
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
      found('chunks', checkpoints, name .. ' is named by no checkpoint', function()
        redis.call('HDEL', checkpoints, field)
      end)
    end
  end
end
local noted = read_counts(checkpoints)
local differs = not noted and (next(right) or redis.call('HEXISTS', checkpoints, COUNTS) == 1)
for name, count in pairs(noted or {}) do
  differs = differs or right[name] ~= count
end
for name, count in pairs(right) do
  differs = differs or not noted or noted[name] ~= count
end
if differs then
  found('chunks', checkpoints, 'how many times each is named', function()
    write_counts(checkpoints, right)
  end)
end
return findings
