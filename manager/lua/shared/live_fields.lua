-- Reads a session if it is live: its fields and their values in turn, and how many bytes they are. Else nil, or
-- {'CORRUPT' and the key} where it cannot be told, and 0. listing: an index that is known to list it, or nil.
local function live_fields(prefix, session_key, session_id, now, listing)
  local fields = redis.pcall('HGETALL', session_key)
  if wrong_type(fields) then
    return { damaged(session_key).err }, 0
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
      expires = value
    end
  end
  local session, damage = live_by(prefix, session_key, session_id, now, user, agent, expires, listing)
  if session then
    return fields, bytes
  end
  return damage and { damage.err } or nil, 0
end
