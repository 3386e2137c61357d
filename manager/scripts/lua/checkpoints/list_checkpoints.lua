-- Read one page of the checkpoints of a live session, oldest first.
-- Uses: base chunks sessions
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] creation of the last checkpoint seen, microseconds, or 0 to begin
-- ARGV[4] most checkpoints to read
-- ARGV[5] bytes of data after which the page ends
-- Reply: {for each checkpoint id, created in microseconds, encoded data or nil if it is gone, how many chunks follow, stored value of each of its chunks that none before it has or nil if it is gone, ...}; empty at the end
local session_key, checkpoints, order = KEYS[1], KEYS[2], KEYS[3]
local prefix, session_id, last_created = ARGV[1], ARGV[2], ARGV[3]
local limit, max_bytes = ARGV[4], tonumber(ARGV[5])

local reply = {}
local session, damage = live_session(prefix, session_key, session_id, now_ms())
if not session then
  return damage or reply
end
local bytes, told = 0, {}
local found = redis.call('ZRANGEBYSCORE', order, '(' .. last_created, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
for i = 1, #found, 2 do
  local data = redis.call('HGET', checkpoints, found[i])
  local chunks, chunk_bytes = read_chunks(checkpoints, data, told, {})
  local last = #reply
  reply[last + 1], reply[last + 2], reply[last + 3], reply[last + 4] = found[i], found[i + 1], data, #chunks
  for j = 1, #chunks do
    reply[last + 4 + j] = chunks[j]
  end
  bytes = bytes + (data and #data or 0) + chunk_bytes
  if bytes >= max_bytes then
    break
  end
end
return reply
