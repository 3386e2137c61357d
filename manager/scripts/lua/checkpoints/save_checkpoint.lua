-- Adds a checkpoint to a live session. Repeated with the same id, it changes nothing.
-- Uses: base chunks sessions checkpoints
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
-- ARGV[8] and on: names and stored values of new chunks in turn, where the data is a recipe
-- Reply: 1 | 0 where the session is not live | 'MISSING' where a chunk is not there
local session_key, checkpoints, order = KEYS[1], KEYS[2], KEYS[3]
local prefix, session_id, checkpoint_id, data = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local pin, max_unpinned, limit = ARGV[5] == '1', tonumber(ARGV[6]), tonumber(ARGV[7])
local first_field = 8

local fresh = {}
for i = first_field, #ARGV, 2 do
  fresh[ARGV[i]] = ARGV[i + 1]
end
local keys = { session = session_key, checkpoints = checkpoints, order = order }
return save_checkpoint(prefix, keys, session_id, checkpoint_id, data, fresh, pin, max_unpinned, limit, now_us())
