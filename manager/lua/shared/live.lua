-- Whether an index lists a session; nil and what to answer where the index itself cannot be read.
local function is_listed(index, session_id)
  local score = redis.pcall('ZSCORE', index, session_id)
  if wrong_type(score) then
    return nil, damaged(index)
  end
  return score
end

-- A session is live if its hash is there, is not past its expiry, and both the index of its user
-- and the index of its agent list it. A bulk deletion takes an index away, so it revokes at once.
-- Where that cannot be told, because something was damaged: nil, and what to answer.
-- listing: an index that is known to list it, or nil.
local function live_by(prefix, session_key, session_id, now, user, agent, expires, listing)
  expires = stored_number(expires)
  if not (user and agent and expires) then
    return nil, redis.call('EXISTS', session_key) == 1 and damaged(session_key) or nil
  end
  if expires <= now then
    return nil
  end
  local by_user, by_agent = prefix .. 'u:' .. user, prefix .. 'a:' .. agent
  local listed, damage = true, nil
  if by_user ~= listing then
    listed, damage = is_listed(by_user, session_id)
  end
  if listed and by_agent ~= listing then
    listed, damage = is_listed(by_agent, session_id)
  end
  if not listed then
    return nil, damage
  end
  return { id = session_id, user = user, agent = agent, expires = expires }
end

local function live_session(prefix, session_key, session_id, now)
  local found = redis.pcall('HMGET', session_key, 'user', 'agent', 'expires')
  if wrong_type(found) then
    return nil, damaged(session_key)
  end
  return live_by(prefix, session_key, session_id, now, found[1], found[2], found[3])
end
