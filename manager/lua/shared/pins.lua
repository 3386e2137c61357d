-- Pins lie in the session's own hash: a field p:<checkpoint id> for each, and in `pins` how many
-- there are, so that a session without any is told by one look. The number is written first: should it be
-- none, nothing is written.

-- Whether that is a number, if it is there.
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

-- Ids of the pinned checkpoints, in no order.
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
