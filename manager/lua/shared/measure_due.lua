-- How many checkpoints of a session are due, exactly, and their size: that of the oldest hundred and of the
-- pieces that only they need, and where there are more, as much for each of them.
local function measure_due(prefix, session_id, keep_last, min_created_us)
  local ids, more = due_checkpoints(prefix, session_id, keep_last, min_created_us, 100)
  local key, bytes = prefix .. 'c:' .. session_id, 0
  for _, checkpoint_id in ipairs(ids) do
    bytes = bytes + redis.call('HSTRLEN', key, checkpoint_id)
  end
  local _, freed = counts_without(key, ids, 1, #ids)
  for _, name in ipairs(freed or {}) do
    bytes = bytes + redis.call('HSTRLEN', key, COUNTS .. name)
  end
  if not more then
    return #ids, bytes
  end
  local count = reach_of_policy(prefix, session_id, keep_last, min_created_us)
  local among = count
  for _, checkpoint_id in ipairs(pinned_ids(prefix .. 's:' .. session_id)) do
    local rank = redis.call('ZRANK', prefix .. 'o:' .. session_id, checkpoint_id)
    if rank and rank < among then
      count = count - 1
    end
  end
  return count, math.floor(bytes / #ids * count)
end
