-- Members of a sorted set behind a cursor (score and member of the last one seen), with scores.
-- If that member has moved or gone, the page starts again at its score: a member can then come
-- twice, but none is left out.
local function page(key, last_score, last_member, limit)
  if last_member ~= '' then
    local score = redis.call('ZSCORE', key, last_member)
    if score and tonumber(score) == tonumber(last_score) then
      local rank = redis.call('ZRANK', key, last_member)
      return redis.call('ZRANGE', key, rank + 1, rank + limit, 'WITHSCORES')
    end
  end
  return redis.call('ZRANGEBYSCORE', key, last_score, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
end
