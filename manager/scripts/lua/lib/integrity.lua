-- Return a function that adds a finding to `findings`: damage, key, detail, and 1 if repaired else 0. The
-- function calls `fix` if repairs are asked for. Damage without a `fix` is left to people.
local function collect_findings(findings, repair)
  return function(damage, key, detail, fix)
    local repaired = repair and fix
    if repaired then
      fix()
    end
    for _, part in ipairs({ damage, key, detail, repaired and 1 or 0 }) do
      findings[#findings + 1] = part
    end
  end
end

-- Largest difference between a time to live and the right one, milliseconds: a script takes some time.
local TOLERANCE_MS = 1000

-- Type of a key; 'none' if there is no such key.
local function type_of(key)
  return redis.call('TYPE', key).ok
end

-- Moment at which a key expires, milliseconds; nil if it never does.
local function expires_at(key, now)
  local left = redis.call('PTTL', key)
  return left >= 0 and now + left or nil
end

-- Checks of one session. own_keys: its hash, the hash of its checkpoints, and their order.

-- User, agent and expiry of a session; nil if they cannot be read. For an expiry that cannot be read, the
-- scores of the indexes stand in if they agree.
local function read_session(report, prefix, own_keys, session_id)
  local fields = redis.call('HMGET', own_keys[1], 'user', 'agent', 'created', 'expires')
  local user, agent, expires = fields[1], fields[2], stored_number(fields[4])
  if not (user and agent and stored_number(fields[3])) then
    report('corrupt', own_keys[1], 'user, agent or creation')
    return nil
  end
  if not expires then
    local of_user = redis.pcall('ZSCORE', prefix .. 'u:' .. user, session_id)
    local of_agent = redis.pcall('ZSCORE', prefix .. 'a:' .. agent, session_id)
    local agreed = of_user == of_agent and stored_number(of_user)
    report('corrupt', own_keys[1], 'expires', agreed and function()
      redis.call('HSET', own_keys[1], 'expires', whole(agreed))
      expires = agreed
    end)
  end
  return expires and { user = user, agent = agent, expires = expires }
end

-- Return true if an open deletion has revoked the session.
local function is_revoked(prefix, letter, owner, session_id)
  local names = redis.pcall('ZRANGE', prefix .. 'revocations:' .. letter .. ':' .. owner, 0, -1)
  for _, name in ipairs(wrong_type(names) and {} or names) do
    local score = redis.pcall('ZSCORE', prefix .. 'revoked:' .. name, session_id)
    if score and not wrong_type(score) then
      return true
    end
  end
  return false
end

-- Return true if the session is live. Nobody can read a session that is neither listed nor revoked. It may
-- have been revoked before, so it is removed and never listed again.
local function check_listing(report, prefix, own_keys, session_id, session)
  local user_index, agent_index = prefix .. 'u:' .. session.user, prefix .. 'a:' .. session.agent
  local by_user, user_damage = is_listed(user_index, session_id)
  local by_agent, agent_damage = is_listed(agent_index, session_id)
  if by_user and by_agent then
    return true
  end
  -- An index of another type is a finding of its own, and left to people. So are the sessions that it listed.
  if user_damage or agent_damage or is_revoked(prefix, 'u', session.user, session_id)
    or is_revoked(prefix, 'a', session.agent, session_id) then
    return false
  end
  report('orphan', own_keys[1], 'listed neither by an index nor by an open deletion', function()
    redis.call('UNLINK', unpack(own_keys))
    redis.call('ZREM', user_index, session_id)
    redis.call('ZREM', agent_index, session_id)
    redis.pcall('ZREM', prefix .. 'x', expiry_member(session_id, session.user, session.agent))
  end)
  return false
end

-- Check times to live, and scores in the three indexes: all must be the expiry in the hash.
local function check_expiry(report, prefix, own_keys, session_id, session, linger_ms, now)
  local text = whole(session.expires)
  for _, key in ipairs(own_keys) do
    local expires = expires_at(key, now) if redis.call('EXISTS', key) == 1 and (not expires or
    math.abs(expires - session.expires) > TOLERANCE_MS) then
      report(expires and 'expiry' or 'no_ttl', key, 'time to live', function()
        redis.call('PEXPIREAT', key, text)
      end)
    end
  end local packed = expiry_member(session_id, session.user, session.agent) local places = { { 'u:' ..
  session.user, session_id, 0 }, { 'a:' .. session.agent, session_id, 0 }, { 'x', packed, linger_ms } } for _,
  place in ipairs(places) do
    local index, member, lingers_ms = prefix .. place[1], place[2], place[3]
    local score = redis.pcall('ZSCORE', index, member)
    if not wrong_type(score) and tonumber(score or -1) ~= session.expires then
      report(score and 'expiry' or 'unlisted', index, member, function()
        index_session(index, member, session.expires, text, lingers_ms, now)
      end)
    end
  end
end

-- Check the number of pins, pins of checkpoints that are gone, and the size of the metadata.
local function check_counts(report, session_key, order)
  local fields = redis.call('HGETALL', session_key)
  local by_name, size, pins = {}, 0, 0
  for i = 1, #fields, 2 do
    local kind = string.sub(fields[i], 1, 2)
    by_name[fields[i]] = fields[i + 1]
    if kind == 'm:' then
      size = size + #fields[i] - 2 + #fields[i + 1]
    elseif kind == 'p:' then
      pins = pins + 1
      if not redis.call('ZSCORE', order, string.sub(fields[i], 3)) then
        report('pins', session_key, fields[i], function()
          redis.call('HDEL', session_key, fields[i])
          pins = pins - 1
        end)
      end
    end
  end
  local counts = { { 'size', by_name.size or '', size }, { 'pins', by_name.pins or '0', pins } }
  for _, count in ipairs(counts) do
    local name, stored, right = count[1], count[2], count[3]
    if stored ~= whole(right) then
      report(name, session_key, name .. ' is ' .. stored .. ' instead of ' .. whole(right), function()
        redis.call('HSET', session_key, name, whole(right))
      end)
    end
  end
end
