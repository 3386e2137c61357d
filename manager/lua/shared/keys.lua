-- Milliseconds by which times to live may differ from what they should be: a script takes some time.
local TOLERANCE_MS = 1000

-- Type of a key; 'none' where there is no such key.
local function type_of(key)
  return redis.call('TYPE', key).ok
end

-- The moment at which a key goes; nil where it never does.
local function goes_at(key, now)
  local left = redis.call('PTTL', key)
  return left >= 0 and now + left or nil
end
