-- Lists what other deletions of a user or an agent have taken away and not reclaimed yet.
-- KEYS[1] sorted set: revoked sets of all deletions of this user or agent
-- ARGV[1] prefix of the partition
-- ARGV[2] id of the job whose own revoked sets are left out
-- Reply: {key of a revoked, ...}
local revoked_sets = KEYS[1]
local prefix, job_id = ARGV[1], ARGV[2]

local others = {}
for _, name in ipairs(redis.call('ZRANGE', revoked_sets, 0, -1)) do
  if string.match(name, '^(.*):%d+$') ~= job_id then
    others[#others + 1] = prefix .. 'revoked:' .. name
  end
end
return others
