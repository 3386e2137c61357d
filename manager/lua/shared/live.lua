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
local function is_live(prefix, session_id, user, agent, expires, now)
  if expires <= now then
    return nil
  end
  local listed, damage = is_listed(prefix .. 'u:' .. user, session_id)
  if listed then
    listed, damage = is_listed(prefix .. 'a:' .. agent, session_id)
  end
  return listed, damage
end

-- Owners and expiry of a live session; nil where it is not, and what to answer if that cannot be told.
local function live_session(prefix, session_key, session_id, now)
  local found = redis.pcall('HMGET', session_key, 'user', 'agent', 'expires')
  local user, agent, expires = found[1], found[2], stored_number(found[3])
  if not (user and agent and expires) then
    local is_there = wrong_type(found) or redis.call('EXISTS', session_key) == 1
    return nil, is_there and damaged(session_key) or nil
  end
  local live, damage = is_live(prefix, session_id, user, agent, expires, now)
  return live and { user = user, agent = agent, expires = expires }, damage
end

-- The whole hash of a live session, field and value in turn; otherwise as live_session.
local function live_fields(prefix, session_key, session_id, now)
  local fields = redis.pcall('HGETALL', session_key)
  if wrong_type(fields) then
    return nil, damaged(session_key)
  end
  local owners = {}
  for i = 1, #fields, 2 do
    owners[fields[i]] = fields[i + 1]
    if owners.user and owners.agent and owners.expires then
      break
    end
  end
  local expires = stored_number(owners.expires)
  if not (owners.user and owners.agent and expires) then
    return nil, fields[1] and damaged(session_key) or nil
  end
  local live, damage = is_live(prefix, session_id, owners.user, owners.agent, expires, now)
  return live and fields, damage
end
