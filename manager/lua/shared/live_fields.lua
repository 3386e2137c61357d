-- Reads a session: its fields and their values in turn, its user, its agent, and how many bytes the fields are.
-- Only false where there is none or it has expired; only {'CORRUPT' and the key} where that cannot be told.
local function read_fields(session_key, now)
  local fields = redis.pcall('HGETALL', session_key)
  if wrong_type(fields) then
    return { damaged(session_key).err }
  end
  local user, agent, expires
  local bytes = 0
  for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    bytes = bytes + #field + #value
    if field == 'user' then
      user = value
    elseif field == 'agent' then
      agent = value
    elseif field == 'expires' then
      expires = stored_number(value)
    end
  end
  if not (user and agent and expires) then
    return fields[1] and { damaged(session_key).err } or false
  end
  if expires <= now then
    return false
  end
  return fields, user, agent, bytes
end

-- The fields of a session and their values in turn, if it is live; else false, or {'CORRUPT' and the key}.
local function live_fields(prefix, session_key, session_id, now)
  local fields, user, agent = read_fields(session_key, now)
  if not user then
    return fields
  end
  local listed, damage = is_listed_by_both(prefix, session_id, user, agent)
  return listed and fields or damage and { damage.err } or false
end
