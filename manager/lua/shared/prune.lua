local function oldest_to_keep(max_age_us, now)
  return max_age_us == '' and '' or whole(now - tonumber(max_age_us))
end

-- Removes checkpoints of one session that a policy no longer keeps, oldest first, at most `limit`.
-- keep_last: '' or how many to keep; min_created_us: '' or the oldest creation to keep.
-- The newest checkpoint is always kept. Returns how many were removed and whether more are due.
local function prune_session(prefix, session_id, keep_last, min_created_us, limit)
  local order = prefix .. 'o:' .. session_id
  local size = redis.call('ZCARD', order)
  local due = 0
  if keep_last ~= '' then
    due = size - tonumber(keep_last)
  end
  if min_created_us ~= '' then
    due = math.max(due, redis.call('ZCOUNT', order, '-inf', '(' .. min_created_us))
  end
  due = math.min(due, size - 1)
  if due <= 0 then
    return 0, false
  end
  local taken = math.min(due, limit)
  local ids = redis.call('ZRANGE', order, 0, taken - 1)
  redis.call('HDEL', prefix .. 'c:' .. session_id, unpack(ids))
  redis.call('ZREMRANGEBYRANK', order, 0, taken - 1)
  return taken, taken < due
end

local function measure_due(prefix, session_id, keep_last, min_created_us)
  return 0, 0
end
