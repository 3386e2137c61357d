-- Whether an index lists a session; nil and what to answer where the index itself cannot be read.
local function is_listed(index, session_id)
  local score = redis.pcall('ZSCORE', index, session_id)
  if wrong_type(score) then
    return nil, damaged(index)
  end
  return score
end

local function is_listed_by_both(prefix, session_id, user, agent)
  local listed, damage = is_listed(prefix .. 'u:' .. user, session_id)
  if listed then
    listed, damage = is_listed(prefix .. 'a:' .. agent, session_id)
  end
  return listed, damage
end

-- A session is live if its hash is there, is not past its expiry, and both the index of its user
-- and the index of its agent list it. A bulk deletion takes an index away, so it revokes at once.
-- Where that cannot be told, because something was damaged: nil, and what to answer.
local function live_session(prefix, session_key, session_id, now)
  local found = redis.pcall('HMGET', session_key, 'user', 'agent', 'expires')
  if wrong_type(found) then
    return nil, damaged(session_key)
  end
  local user, agent, expires = found[1], found[2], stored_number(found[3])
  if not (user and agent and expires) then
    return nil, redis.call('EXISTS', session_key) == 1 and damaged(session_key) or nil
  end
  if expires <= now then
    return nil
  end
  local listed, damage = is_listed_by_both(prefix, session_id, user, agent)
  return listed and { id = session_id, user = user, agent = agent, expires = expires } or nil, damage
end
