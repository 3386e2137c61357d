-- Adds checkpoints to live sessions of one partition in turn, as save_checkpoint does; none shares chunks.
-- Uses: base chunks sessions checkpoints
-- KEYS[1] and on: hash of the session of each
-- ARGV[1] prefix of the partition
-- ARGV[2] most checkpoints that are not pinned, or ''
-- ARGV[3] most checkpoints to remove at each
-- ARGV[4] and on: for each its session's id, its own id, its encoded data, and 1 to pin it, else 0
-- Reply: {for each 1 | 0 where the session is not live | {what cannot be read}, ...}
local prefix, max_unpinned, limit, first_field = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 4

local created = now_us()
local reply = {}
for i, session_key in ipairs(KEYS) do
  local session_id, checkpoint_id, data, pin = unpack(ARGV, first_field, first_field + 3)
  local keys = { session = session_key, checkpoints = prefix .. 'c:' .. session_id, order = prefix .. 'o:' .. session_id }
  local saved, answer = attempt(save_checkpoint, prefix, keys, session_id, checkpoint_id, data, {}, pin == '1',
    max_unpinned, limit, created)
  if not saved then
    answer = { told_by(answer) }
  elseif type(answer) == 'table' then
    answer = { answer.err }
  end
  reply[i] = answer
  first_field = first_field + 4
end
return reply
