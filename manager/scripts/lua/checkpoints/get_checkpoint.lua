-- Read one checkpoint of a live session, or its newest.
-- Uses: base chunks sessions
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] checkpoint id, or '' for the newest
-- ARGV[4] list of chunks that the caller knows, as in a recipe
-- Reply: {checkpoint id, created in microseconds, encoded data or nil if it is gone, how many chunks follow, stored value of each of its chunks that the caller does not know or nil if it is gone, ...} | nil if there is no such checkpoint
local session_key, checkpoints, order = KEYS[1], KEYS[2], KEYS[3]
local prefix, session_id, checkpoint_id, known = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local session, damage = live_session(prefix, session_key, session_id, now_ms())
if not session then
  return damage
end
local created
if checkpoint_id == '' then
  local newest = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')
  checkpoint_id, created = newest[1], newest[2]
else
  created = redis.call('ZSCORE', order, checkpoint_id)
end
if not created then
  return nil
end
local data = redis.call('HGET', checkpoints, checkpoint_id)
local reply = { checkpoint_id, created, data, 0 }
if data and string.sub(data, 1, 1) == 'p' then
  local chunks = read_chunks(checkpoints, data, {}, ranges_by_stream(known))
  reply[4] = #chunks
  for i = 1, #chunks do
    reply[4 + i] = chunks[i]
  end
end
return reply
