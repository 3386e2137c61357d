-- Count the live sessions of a user. While the deletion of an agent is open in this partition,
-- the script has to look at the sessions one by one, and counts one page of them.
-- Uses: base sessions
-- KEYS[1] sorted set: index of the user
-- KEYS[2] sorted set: revoked sets of deletions of agents
-- ARGV[1] prefix of the partition
-- ARGV[2] score of the last member seen, or '' to begin
-- ARGV[3] the last member seen, or ''
-- ARGV[4] most members to look at
-- Reply: {live sessions counted, score and id of the last member looked at, or two '' at the end}
local index, revocations_of_agents = KEYS[1], KEYS[2]
local prefix, last_score, last_member, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local now = now_ms()
local future = '(' .. whole(now)
if last_member == '' then
  if redis.call('ZCOUNT', revocations_of_agents, future, '+inf') == 0 then
    return { redis.call('ZCOUNT', index, future, '+inf'), '', '' }
  end
  last_score = future
end
local found = page(index, last_score, last_member, limit)
local count = 0
for i = 1, #found, 2 do
  if live_session(prefix, prefix .. 's:' .. found[i], found[i], now) then
    count = count + 1
  end
end
if #found == 2 * limit then
  return { count, found[#found], found[#found - 1] }
end
return { count, '', '' }
