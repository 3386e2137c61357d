-- Keep a user key for at least `keep_ms`, and its owner's entry a little longer: an erasure finds a key by
-- its owner.
local function keep_key(key, owner, keep_ms)
  if keep_ms > 0 and redis.call('PTTL', key) < keep_ms then
    redis.call('PEXPIRE', key, keep_ms)
    redis.call('PEXPIRE', owner, keep_ms + 1000)
  end
end
