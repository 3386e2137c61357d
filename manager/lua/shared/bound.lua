-- Removes the oldest checkpoints that are not pinned beyond the `max_unpinned` newest of them, at
-- most `limit`. The newest checkpoint is always kept.
local function keep_bound(prefix, session_id, max_unpinned, limit)
  local size = redis.call('ZCARD', prefix .. 'o:' .. session_id)
  local excess = size - count_pins(prefix, session_id) - max_unpinned
  if excess > 0 then
    remove_checkpoints(prefix, session_id, (oldest_unpinned(prefix, session_id, size - 1, math.min(excess, limit))))
  end
end
