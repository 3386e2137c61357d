-- Adds a checkpoint to a live session. Repeated with the same id, it changes nothing.
-- Creation never goes back: a checkpoint is at least 1 µs younger than the one before it.
-- With a bound, the oldest beyond it go in the same step; many of them over several saves.
-- Uses: clock damage live pieces unpinned bound pins
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] checkpoint id
-- ARGV[4] encoded data
-- ARGV[5] 1 to pin it, else 0
-- ARGV[6] most checkpoints that are not pinned, or ''
-- ARGV[7] most checkpoints to remove
-- ARGV[8] and on: names and stored values of new pieces in turn, where the data is a recipe
-- Reply: 1 | 0 where the session is not live | 'MISSING' where a piece is not there
local session_key, checkpoints, order = KEYS[1], KEYS[2], KEYS[3]
local prefix, session_id, checkpoint_id, data = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local pin, max_unpinned, limit = ARGV[5] == '1', tonumber(ARGV[6]), tonumber(ARGV[7])
local first_field = 8

local created = now_us()
local session, damage = live_session(prefix, session_key, session_id, math.floor(created / 1000))
if not session then
  return damage or 0
end
-- Read before anything is written: should it be of another type, nothing is.
local newest = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')
if string.sub(data, 1, 1) == 'p' then
  if redis.call('HEXISTS', checkpoints, checkpoint_id) == 1 then
    return 1
  end
  local fresh = {}
  for i = first_field, #ARGV, 2 do
    fresh[ARGV[i]] = ARGV[i + 1]
  end
  if not hold_pieces(checkpoints, data, fresh) then
    return 'MISSING'
  end
end
if redis.call('HSETNX', checkpoints, checkpoint_id, data) == 0 then
  return 1
end
redis.call('PEXPIREAT', checkpoints, whole(session.expires))
if newest[2] then
  created = math.max(created, tonumber(newest[2]) + 1)
end
redis.call('ZADD', order, whole(created), checkpoint_id)
if not newest[2] then
  -- From then on, whatever changes the session's expiry changes the key's as well.
  redis.call('PEXPIREAT', order, whole(session.expires))
end
if pin then
  set_pin(session_key, checkpoint_id)
end
if max_unpinned then
  keep_bound(prefix, session_id, max_unpinned, limit)
end
return 1
