-- Add checkpoints to live sessions of one partition in turn. A repetition with the same ids changes nothing.
-- Uses: base chunks sessions checkpoints
-- KEYS[1] and on: hash of the session of each
-- ARGV[1] prefix of the partition
-- ARGV[2] most checkpoints that are not pinned, or ''
-- ARGV[3] most checkpoints to remove at each
-- ARGV[4] and on: for each its id, its encoded data, 1 to pin it or else 0, how many names and stored values of new chunks follow (none, unless the data is a recipe), and these
-- Reply: for each 1, 0 if its session is not live, M if a chunk is missing, or ? if something is damaged; with damaged ones {this, for each of them what cannot be read, ...}
local prefix, max_unpinned, limit, first_field = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 4

local created = now_us()
local answers, damages, grown = '', {}, {}
for i, session_key in ipairs(KEYS) do
  local checkpoint_id, data, pin, count = unpack(ARGV, first_field, first_field + 3)
  local fresh = nil
  if count ~= '0' then
    fresh = {}
    for field = first_field + 4, first_field + 3 + count, 2 do
      fresh[ARGV[field]] = ARGV[field + 1]
    end
  end
  local ran, answer, damage, is_new = pcall(save_checkpoint, prefix, session_key, checkpoint_id, data, fresh,
    pin == '1', created)
  if not ran then
    answer, damage = nil, wrong_type_told_by(answer)
  end
  answers = answers .. (answer or '?')
  damages[#damages + 1] = damage
  grown[i] = is_new
  first_field = first_field + 4 + count
end
if max_unpinned then
  for i, session_key in ipairs(KEYS) do
    if grown[i] then
      keep_bound(prefix, string.sub(session_key, #prefix + 3), max_unpinned, limit)
    end
  end
end
return damages[1] and { answers, unpack(damages) } or answers
