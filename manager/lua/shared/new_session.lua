-- What to answer instead of creating a session: the session that is there, why there can be none with this id,
-- or what cannot be read; nil where nothing is in the way.
local function earlier_session(session_key, session_id, user, indexes)
  if redis.call('EXISTS', session_key) == 1 then
    local stored = redis.pcall('HGETALL', session_key)
    local owner = not wrong_type(stored) and redis.call('HGET', session_key, 'user')
    if owner and owner ~= user then
      return 'TAKEN'
    end
    return owner and #stored > 2 and stored or damaged(session_key)
  end
  for _, index in ipairs(indexes) do
    local _, damage = is_listed(index, session_id)
    if damage then
      return damage
    end
  end
  return nil
end

-- Whether the partition has room for so many sessions more.
local function room_left(expiry_index, max_sessions, now)
  return max_sessions - redis.call('ZCOUNT', expiry_index, '(' .. whole(now), '+inf')
end

-- Writes the hash of a session; its metadata lies in ARGV from `first` to `last`.
local function write_session(session_key, user, agent, created, expires_text, size, first, last)
  redis.call('HSET', session_key, 'user', user, 'agent', agent, 'created', whole(created),
    'expires', expires_text, 'size', size, unpack(ARGV, first, math.min(last, first + 999)))
  set_fields(session_key, first + 1000, last)
  redis.call('PEXPIREAT', session_key, expires_text)
end
