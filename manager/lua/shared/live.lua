-- A session is live if its hash is there, is not past its expiry, and both the index of its user
-- and the index of its agent list it. A bulk deletion takes an index away, so it revokes at once.
local function live_session(prefix, session_key, session_id, now)
  local found = redis.call('HMGET', session_key, 'user', 'agent', 'expires')
  local user, agent, expires = found[1], found[2], tonumber(found[3])
  if not user or expires <= now then
    return nil
  end
  if not redis.call('ZSCORE', prefix .. 'u:' .. user, session_id) then
    return nil
  end
  if not redis.call('ZSCORE', prefix .. 'a:' .. agent, session_id) then
    return nil
  end
  return { user = user, agent = agent, expires = expires }
end
