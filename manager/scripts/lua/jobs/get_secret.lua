-- The namespace's own secret: the one that is there, or the one offered. It lives on while it is used.
-- Uses: base
-- KEYS[1] string: the secret
-- KEYS[2] sorted set of the same namespace
-- ARGV[1] secret to take if there is none
-- ARGV[2] how long it is kept from now, milliseconds
-- Reply: the secret
local secret_key, sorted_set = KEYS[1], KEYS[2]
local offered, keep_ms = ARGV[1], ARGV[2]

local secret = redis.call('GET', secret_key)
if not secret then
  secret = offered
  work_though_full(sorted_set)
  redis.call('SET', secret_key, secret)
end
redis.call('PEXPIRE', secret_key, keep_ms)
return secret
