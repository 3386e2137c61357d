-- Puts sessions that expire at one moment into one index, as `index_session` does with one.
local function index_sessions(key, members, expires, expires_text, lingers_ms, now)
  local entries = {}
  for _, member in ipairs(members) do
    entries[#entries + 1] = expires_text
    entries[#entries + 1] = member
  end
  redis.call('ZADD', key, unpack(entries))
  keep_until(key, expires + lingers_ms, now)
end
