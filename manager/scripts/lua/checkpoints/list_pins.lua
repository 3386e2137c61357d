-- List the pinned checkpoints of a live session, oldest first.
-- Uses: base sessions checkpoints
-- KEYS[1] hash of the session
-- KEYS[2] sorted set: order of its checkpoints
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- Reply: {checkpoint id, ...}
local session_key, order = KEYS[1], KEYS[2]
local prefix, session_id = ARGV[1], ARGV[2]

local session, damage = live_session(prefix, session_key, session_id, now_ms())
if not session then
  return damage or {}
end
local ids, created = {}, {}
for _, id in ipairs(pinned_ids(session_key)) do
  created[id] = tonumber(redis.call('ZSCORE', order, id))
  if created[id] then
    ids[#ids + 1] = id
  end
end
table.sort(ids, function(one, other)
  return created[one] < created[other]
end)
return ids
