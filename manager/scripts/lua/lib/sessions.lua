-- The expiry index carries the user and the agent in its members, because the sweep has to clean
-- their indexes when the session's own hash is gone already.
local function expiry_member(session_id, user, agent)
  return session_id .. ' ' .. #user .. ' ' .. user .. agent
end

-- Session id, user and agent; nil where somebody has written something else.
local function split_expiry_member(member)
  local session_id, size, start = string.match(member, '^(%S+) (%d+) ()')
  if not session_id then
    return nil
  end
  local agent_start = start + tonumber(size)
  return session_id, string.sub(member, start, agent_start - 1), string.sub(member, agent_start)
end

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

-- Gives a live session a new moment of expiry: its own keys and its place in all three indexes.
local function set_expiry(prefix, keys, session_id, user, agent, expires, linger_ms, now)
  local expires_text = whole(expires)
  -- First the index that may be of another type: the others were looked at, and then nothing is written.
  index_session(prefix .. 'x', expiry_member(session_id, user, agent), expires, expires_text, linger_ms, now)
  redis.call('HSET', keys.session, 'expires', expires_text)
  for _, key in pairs(keys) do
    redis.call('PEXPIREAT', key, expires_text)
  end
  index_session(prefix .. 'u:' .. user, session_id, expires, expires_text, 0, now)
  index_session(prefix .. 'a:' .. agent, session_id, expires, expires_text, 0, now)
end

-- Reads a session: its fields and their values in turn, its user, its agent, and the bytes of its metadata (text).
-- Only false if there is no session or it has expired; only {'CORRUPT' and the key} if the hash cannot be read.
-- The fields that it needs are written first; behind them comes metadata, of any length.
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

-- Returns the fields of a session and their values in turn if it is live; else {}, or {'CORRUPT' and the key}.
local function live_fields(prefix, session_key, now)
  local fields, user, agent = read_fields(session_key, now)
  if not user then
    return fields or {}
  end
  local listed, damage = is_listed_by_both(prefix, string.sub(session_key, #prefix + 3), user, agent)
  return listed and fields or damage and { damage.err } or {}
end

-- Answers instead of creating a session: with the session that is there, why there can be none with this id, or
-- what cannot be read. Returns nil if nothing is in the way.
local function earlier_session(session_key, user)
  if redis.call('EXISTS', session_key) == 0 then
    return nil
  end
  local stored = redis.pcall('HGETALL', session_key)
  local owner = not wrong_type(stored) and redis.call('HGET', session_key, 'user')
  if owner and owner ~= user then
    return { 'TAKEN' }
  end
  return owner and #stored > 2 and stored or { damaged(session_key).err }
end

-- Returns for how many more sessions the partition has room.
local function room_left(expiry_index, max_sessions, now)
  return max_sessions - redis.call('ZCOUNT', expiry_index, '(' .. whole(now), '+inf')
end

-- Writes the hash of a session, whose metadata lies in ARGV from `first` to `last`, and lists it in the indexes of
-- its user and its agent. Returns nothing, or {'CORRUPT' and the key} and leaves nothing written if an index is of
-- another type. (To look at the indexes before takes an eighth of the time.)
local function write_session(session_key, session_id, user, user_index, agent, agent_index, created, expires_text, size, first, last)
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

-- Removes live sessions with their checkpoints and their places in the indexes.
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
  -- First the only one that may fail, because it is of another type.
  redis.call('ZREM', expiry_index, unpack(packed))
  remove_noted(members, prefix)
  redis.call('UNLINK', unpack(unlinked))
end

-- Notes that an index has to list the session at a place. A known index, which lists them all, is not asked: false.
local function note_place(places_by_index, index, place, known)
  local places = places_by_index[index]
  if places == nil then
    places = index ~= known and {}
    places_by_index[index] = places
  end
  if places then
    places[#places + 1] = place
  end
end

-- Asks each index once for all sessions at its places, and takes those that it does not list out of `found`.
local function keep_listed(found, ids, places_by_index)
  for index, places in pairs(places_by_index) do
    if places then
      local asked = {}
      for i, place in ipairs(places) do
        asked[i] = ids[place]
      end
      local scores = redis.pcall('ZMSCORE', index, unpack(asked))
      local damage = wrong_type(scores) and { damaged(index).err }
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

-- Returns what `live_fields` says of each session, one behind the other in one list, and how many values each has; no
-- further session once they are max_bytes. known: an index that lists them all, or nil.
-- (One list, since each list within a reply takes the server 2 to 3 microseconds.)
local function live_page(prefix, session_keys, now, max_bytes, known)
  local found, bytes = {}, 0
  local ids, users, agents = {}, {}, {}
  local by_user, by_agent = prefix .. 'u:', prefix .. 'a:'
  for i, session_key in ipairs(session_keys) do
    local fields, user, agent, size = read_fields(session_key, now)
    found[i] = fields
    if user then
      ids[i] = string.sub(session_key, #prefix + 3)
      note_place(users, by_user .. user, i, known)
      note_place(agents, by_agent .. agent, i, known)
      bytes = bytes + (stored_number(size) or 0) + 16 * #fields
      if bytes >= max_bytes then
        break
      end
    end
  end
  keep_listed(found, ids, users)
  keep_listed(found, ids, agents)
  local values, counts = {}, {}
  for i = 1, #found do
    local fields, before = found[i] or {}, #values
    counts[i] = #fields
    for j = 1, counts[i] do
      values[before + j] = fields[j]
    end
  end
  return values, counts
end
