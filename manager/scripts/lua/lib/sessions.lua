-- Return a session's member of the expiry index. It carries the user and the agent: when the sweep cleans their
-- indexes, the session's own hash is gone already.
local function expiry_member(session_id, user, agent)
  return session_id .. ' ' .. #user .. ' ' .. user .. agent
end

-- Return session id, user and agent of a member; nil if the member is not one of ours.
local function split_expiry_member(member)
  local session_id, size, start = string.match(member, '^(%S+) (%d+) ()')
  if not session_id then
    return nil
  end
  local agent_start = start + tonumber(size)
  return session_id, string.sub(member, start, agent_start - 1), string.sub(member, agent_start)
end

-- Return a true value if an index lists a session; nil and an error reply if the index cannot be read.
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

-- Return a session if it is live: its hash exists and is not past its expiry, and both the index of its user and
-- the index of its agent list it. (A bulk deletion takes an index away, so it revokes at once.) Return nil and an
-- error reply if damage hides the answer.
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

-- Give a live session a new expiry: its own keys, and its score in all three indexes.
local function set_expiry(prefix, keys, session_id, user, agent, expires, linger_ms, now)
  local expires_text = whole(expires)
  -- First the index that was not looked at. If it is of another type, the script ends with nothing written.
  index_session(prefix .. 'x', expiry_member(session_id, user, agent), expires, expires_text, linger_ms, now)
  redis.call('HSET', keys.session, 'expires', expires_text)
  for _, key in pairs(keys) do
    redis.call('PEXPIREAT', key, expires_text)
  end
  index_session(prefix .. 'u:' .. user, session_id, expires, expires_text, 0, now)
  index_session(prefix .. 'a:' .. agent, session_id, expires, expires_text, 0, now)
end

-- Read a session. Return its fields and their values in turn, its user, its agent, and the bytes of its metadata (as
-- text); only false if there is no session or it has expired; only {'CORRUPT' and the key} if the hash is unreadable.
-- The needed fields are written first. Metadata of any length follows them.
local function read_fields(session_key, now)
  local fields = redis.pcall('HGETALL', session_key)
  if wrong_type(fields) then
    return { damaged(session_key).err }
  end
  local user, agent, expires, size
  for i = 1, #fields, 2 do
    local field = fields[i]
    if field == 'user' then
      user = fields[i + 1]
    elseif field == 'agent' then
      agent = fields[i + 1]
    elseif field == 'expires' then
      expires = stored_number(fields[i + 1])
    elseif field == 'size' then
      size = fields[i + 1]
      if expires and agent and user then
        break
      end
    end
  end
  if not (user and agent and expires) then
    return fields[1] and { damaged(session_key).err } or false
  end
  if expires <= now then
    return false
  end
  return fields, user, agent, size
end

-- Return the fields of a session and their values in turn if it is live; else false, or {'CORRUPT' and the key}.
local function live_fields(prefix, session_key, now)
  local fields, user, agent = read_fields(session_key, now)
  if not user then
    return fields
  end
  local listed, damage = is_listed_by_both(prefix, string.sub(session_key, #prefix + 3), user, agent)
  return listed and fields or damage and { damage.err } or false
end

-- Return the answer if a session cannot be created: the live session that has the id already, the reason why there
-- can be none with this id, or the damage. Return nil if nothing is in the way. Of a session that is not live, the
-- answer shows nothing.
local function earlier_session(prefix, session_key, session_id, user, now)
  if redis.call('EXISTS', session_key) == 0 then
    return nil
  end
  local fields, owner, agent = read_fields(session_key, now)
  if not owner then
    return fields or { 'ENDED' }
  end
  if owner ~= user then
    return { 'TAKEN' }
  end
  local listed, damage = is_listed_by_both(prefix, session_id, user, agent)
  return listed and fields or { damage and damage.err or 'ENDED' }
end

-- Return for how many more sessions the partition has room.
local function room_left(expiry_index, max_sessions, now)
  return max_sessions - redis.call('ZCOUNT', expiry_index, '(' .. whole(now), '+inf')
end

-- Write the hash of a session, whose metadata lies in ARGV from `first` to `last`, and list the session in the
-- indexes of its user and its agent. Return nothing; or, with nothing left written, {'CORRUPT' and the key} if an
-- index is of another type. (To look at the indexes first would take an eighth of the time.)
local function write_session(session_key, session_id, user, user_index, agent, agent_index, created, expires_text, size,
  first, last)
  redis.call('HSET', session_key, 'user', user, 'agent', agent, 'created', whole(created),
    'expires', expires_text, 'size', size, unpack(ARGV, first, math.min(last, first + 999)))
  if last >= first + 1000 then
    set_fields(session_key, first + 1000, last)
  end
  redis.call('PEXPIREAT', session_key, expires_text)
  if wrong_type(redis.pcall('ZADD', user_index, expires_text, session_id)) then
    redis.call('UNLINK', session_key)
    return { damaged(user_index).err }
  end
  if wrong_type(redis.pcall('ZADD', agent_index, expires_text, session_id)) then
    redis.call('UNLINK', session_key)
    redis.call('ZREM', user_index, session_id)
    return { damaged(agent_index).err }
  end
end

-- Remove live sessions with their checkpoints and their places in the indexes.
local function remove_sessions(prefix, expiry_index, sessions)
  local members, packed, unlinked = {}, {}, {}
  for _, session in ipairs(sessions) do
    note_member(members, 'u:' .. session.user, session.id)
    note_member(members, 'a:' .. session.agent, session.id)
    packed[#packed + 1] = expiry_member(session.id, session.user, session.agent)
    for _, kind in ipairs({ 's:', 'c:', 'o:' }) do
      unlinked[#unlinked + 1] = prefix .. kind .. session.id
    end
  end
  -- First the only command that may fail, because the index is of another type.
  redis.call('ZREM', expiry_index, unpack(packed))
  remove_noted(members, prefix)
  redis.call('UNLINK', unpack(unlinked))
end

-- Note that the index of an owner has to list the session at a place. A known index, which lists them all, is not
-- asked: false.
local function note_place(places_by_owner, kind, owner, place, known)
  local places = places_by_owner[owner]
  if places == nil then
    places = kind .. owner ~= known and {}
    places_by_owner[owner] = places
  end
  if places then
    places[#places + 1] = place
  end
end

-- Ask each index once for all sessions at its places, and take those that it does not list out of `found`.
local function keep_listed(found, ids, kind, places_by_owner)
  for owner, places in pairs(places_by_owner) do
    if places then
      local asked = {}
      for i, place in ipairs(places) do
        asked[i] = ids[place]
      end
      local scores = redis.pcall('ZMSCORE', kind .. owner, unpack(asked))
      local damage = wrong_type(scores) and { damaged(kind .. owner).err }
      for i, place in ipairs(places) do
        if damage then
          found[place] = found[place] and damage
        elseif not scores[i] then
          found[place] = false
        end
      end
    end
  end
end

-- Return the result of `live_fields` for each session, and end once they are max_bytes. Ask each index once for all
-- sessions that it should list, which takes less time than to ask for each. known: an index that lists them all, or
-- nil.
local function live_page(prefix, session_keys, ids, now, max_bytes, known)
  local found, bytes = {}, 0
  local by_user, by_agent, users, agents = prefix .. 'u:', prefix .. 'a:', {}, {}
  for i, session_key in ipairs(session_keys) do
    local fields, user, agent, size = read_fields(session_key, now)
    found[i] = fields
    if user then
      note_place(users, by_user, user, i, known)
      note_place(agents, by_agent, agent, i, known)
      bytes = bytes + (tonumber(size) or 0) + 16 * #fields
      -- A damaged size may be NaN: of that, no comparison is true.
      local has_room = bytes < max_bytes
      if not has_room then
        break
      end
    end
  end
  keep_listed(found, ids, by_user, users)
  keep_listed(found, ids, by_agent, agents)
  return found
end
