-- Pins lie in the session's own hash: a field p:<checkpoint id> for each, and the number of pins in `pins`, so that
-- one look tells that a session has none. The number is written first: if the stored one is no number, nothing is
-- written.

-- Return a true value if the stored number of pins is a number, or there is none.
local function can_pin(session_key)
  return string.match(redis.call('HGET', session_key, 'pins') or '0', '^%-?%d+$')
end

local function set_pin(session_key, checkpoint_id)
  if redis.call('HEXISTS', session_key, 'p:' .. checkpoint_id) == 0 then
    redis.call('HINCRBY', session_key, 'pins', 1)
    redis.call('HSET', session_key, 'p:' .. checkpoint_id, 1)
  end
end

local function drop_pin(session_key, checkpoint_id)
  if redis.call('HEXISTS', session_key, 'p:' .. checkpoint_id) == 1 then
    redis.call('HINCRBY', session_key, 'pins', -1)
    redis.call('HDEL', session_key, 'p:' .. checkpoint_id)
  end
end

-- Return ids of the pinned checkpoints, in no order.
local function pinned_ids(session_key)
  local ids = {}
  local pins = redis.call('HGET', session_key, 'pins')
  if pins and pins ~= '0' then
    for _, field in ipairs(redis.call('HKEYS', session_key)) do
      if string.sub(field, 1, 2) == 'p:' then
        ids[#ids + 1] = string.sub(field, 3)
      end
    end
  end
  return ids
end

-- Return the number of pinned checkpoints. If it was damaged, return the number of fields and values instead: too
-- large a number only keeps more checkpoints.
local function count_pins(prefix, session_id)
  local session_key = prefix .. 's:' .. session_id
  local pins = redis.call('HGET', session_key, 'pins')
  return pins and (stored_number(pins) or #redis.call('HGETALL', session_key)) or 0
end

-- Return ids that are not pinned among the `among` oldest checkpoints of a session, oldest first, at most `limit`;
-- and true if there are more. The function looks at `limit` checkpoints and as many more as there are pins: among so
-- many, `limit` are not pinned. (If the number of pins is too low all the same, the answer is that there are no more,
-- or a job would look for them for ever.)
local function oldest_unpinned(prefix, session_id, among, limit)
  if among <= 0 then
    return {}, false
  end
  local pins = count_pins(prefix, session_id)
  local looked_at = math.min(among, limit + pins)
  local ids = redis.call('ZRANGE', prefix .. 'o:' .. session_id, 0, looked_at - 1)
  if pins == 0 then
    return ids, looked_at < among
  end
  local unpinned = {}
  for first = 1, #ids, 1000 do
    local fields = {}
    for i = first, math.min(first + 999, #ids) do
      fields[#fields + 1] = 'p:' .. ids[i]
    end
    local pinned = redis.call('HMGET', prefix .. 's:' .. session_id, unpack(fields))
    for i = 1, #fields do
      if not pinned[i] then
        if #unpinned == limit then
          return unpinned, true
        end
        unpinned[#unpinned + 1] = ids[first + i - 1]
      end
    end
  end
  return unpinned, looked_at < among and #unpinned == limit
end

-- Remove checkpoints that are not pinned, in portions, because Lua unpacks at most some 8,000 values.
local function remove_checkpoints(prefix, session_id, ids)
  for first = 1, #ids, 1000 do
    local last = math.min(first + 999, #ids)
    remove_data(prefix .. 'c:' .. session_id, ids, first, last)
    redis.call('ZREM', prefix .. 'o:' .. session_id, unpack(ids, first, last))
  end
end

-- Return the texts of a JSON list as a set.
local function set_of(json_list)
  local set = {}
  for _, text in ipairs(cjson.decode(json_list)) do
    set[text] = true
  end
  return set
end

local function oldest_to_keep(max_age_us, now)
  return max_age_us == '' and '' or whole(now - tonumber(max_age_us))
end

-- Return how many of the oldest checkpoints of a session to look at for those that a policy no longer keeps.
-- keep_last: '' or how many to keep; min_created_us: '' or the oldest creation to keep.
-- The newest checkpoint is always kept.
local function reach_of_policy(prefix, session_id, keep_last, min_created_us)
  local order = prefix .. 'o:' .. session_id
  local size = redis.call('ZCARD', order)
  local among = 0
  if keep_last ~= '' then
    among = size - tonumber(keep_last)
  end
  if min_created_us ~= '' then
    among = math.max(among, redis.call('ZCOUNT', order, '-inf', '(' .. min_created_us))
  end
  return math.min(among, size - 1)
end

-- Return ids of the checkpoints of one session that a policy no longer keeps, oldest first, at most `limit`; and
-- true if more are due. Pinned checkpoints are kept.
local function due_checkpoints(prefix, session_id, keep_last, min_created_us, limit)
  local among = reach_of_policy(prefix, session_id, keep_last, min_created_us)
  return oldest_unpinned(prefix, session_id, among, limit)
end

-- Remove due checkpoints, at most `limit`. Return how many were removed, and true if more are due.
local function prune_session(prefix, session_id, keep_last, min_created_us, limit)
  local ids, more = due_checkpoints(prefix, session_id, keep_last, min_created_us, limit)
  remove_checkpoints(prefix, session_id, ids)
  return #ids, more
end

-- Remove the oldest unpinned checkpoints beyond the `max_unpinned` newest of them, at most `limit`. The newest
-- checkpoint is always kept.
local function keep_bound(prefix, session_id, max_unpinned, limit)
  local size = redis.call('ZCARD', prefix .. 'o:' .. session_id)
  local excess = size - count_pins(prefix, session_id) - max_unpinned
  if excess > 0 then
    remove_checkpoints(prefix, session_id, (oldest_unpinned(prefix, session_id, size - 1, math.min(excess, limit))))
  end
end

-- Return how many checkpoints of a session are due, exactly, and their size. The size is that of the oldest hundred
-- and of the chunks that only they need; each further one counts as their average.
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

-- Add a checkpoint to a session if the session is live. Repeated with the same id, it changes nothing.
-- Creation never goes back: a checkpoint is at least 1 µs younger than the one before it.
-- Return '1'; '0' if the session is not live; 'M' if a chunk is missing; or nil and the damage. Behind '1', return
-- true if the checkpoint is new.
-- fresh: stored values of new chunks by name, or nil.
local function save_checkpoint(prefix, session_key, checkpoint_id, data, fresh, pin, created)
  local session_id = string.sub(session_key, #prefix + 3)
  local checkpoints, order = prefix .. 'c:' .. session_id, prefix .. 'o:' .. session_id
  local session, damage = live_session(prefix, session_key, session_id, math.floor(created / 1000))
  if not session then
    return not damage and '0' or nil, damage and damage.err
  end
  if pin and not can_pin(session_key) then
    return nil, damaged(session_key).err
  end
  -- Read before anything is written: if the key is of another type, the script ends here.
  local newest = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')
  if string.sub(data, 1, 1) == 'p' then
    if redis.call('HEXISTS', checkpoints, checkpoint_id) == 1 then
      return '1'
    end
    if not hold_chunks(checkpoints, data, fresh or {}) then
      return 'M'
    end
  end
  if redis.call('HSETNX', checkpoints, checkpoint_id, data) == 0 then
    return '1'
  end
  redis.call('PEXPIREAT', checkpoints, whole(session.expires))
  if newest[2] then
    created = math.max(created, tonumber(newest[2]) + 1)
  end
  redis.call('ZADD', order, whole(created), checkpoint_id)
  if not newest[2] then
    -- From now on, each change of the session's expiry changes the key's as well.
    redis.call('PEXPIREAT', order, whole(session.expires))
  end
  if pin then
    set_pin(session_key, checkpoint_id)
  end
  return '1', nil, true
end
