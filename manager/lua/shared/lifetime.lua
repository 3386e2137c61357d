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
