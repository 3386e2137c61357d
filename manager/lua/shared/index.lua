-- Has a key live until that moment at least.
-- (PEXPIREAT ... GT would do, but Redis 6.2 does not know it.)
local function keep_until(key, moment_ms, now)
  if redis.call('PTTL', key) < moment_ms - now then
    redis.call('PEXPIREAT', key, whole(moment_ms))
  end
end

-- Puts a session into one index and lets the index live as long as its latest member.
local function index_session(key, member, expires, expires_text, lingers_ms, now)
  redis.call('ZADD', key, expires_text, member)
  keep_until(key, expires + lingers_ms, now)
end
