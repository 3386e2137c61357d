-- Memory of a key, bytes, as the server estimates it.
local function memory_of(key)
  return redis.call('MEMORY', 'USAGE', key) or 0
end
