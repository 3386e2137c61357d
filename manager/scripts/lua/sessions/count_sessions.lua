-- Count the live sessions of a partition: those in the expiry index, less those that open bulk
-- deletions have revoked. One call looks at a bounded number of revoked sets.
-- Uses: base
-- KEYS[1] sorted set: expiry index
-- KEYS[2] sorted set: revoked sets of deletions of users
-- KEYS[3] sorted set: revoked sets of deletions of agents
-- ARGV[1] prefix of the partition
-- ARGV[2] how many revoked sets of each kind earlier calls have looked at
-- ARGV[3] most revoked sets of each kind to look at
-- Reply: {what to add to the count, how many revoked sets have been looked at, or -1 at the end}
local expiry_index, revocations_of_users, revocations_of_agents = KEYS[1], KEYS[2], KEYS[3]
local prefix, seen, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local future = '(' .. whole(now_ms())
local count = 0
if seen == 0 then
  count = redis.call('ZCOUNT', expiry_index, future, '+inf')
end
local more = false
for _, revocations in ipairs({ revocations_of_users, revocations_of_agents }) do
  local revoked_sets = redis.call('ZRANGEBYSCORE', revocations, future, '+inf', 'LIMIT', seen, limit)
  for _, name in ipairs(revoked_sets) do
    count = count - redis.call('ZCOUNT', prefix .. 'revoked:' .. name, future, '+inf')
  end
  more = more or #revoked_sets == limit
end
return { count, more and seen + limit or -1 }
