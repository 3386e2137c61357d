-- Memory of a key, bytes, as the server estimates it; 0 where it does not (fakeredis, or no right to ask).
local function memory_of(key)
  local bytes = redis.pcall('MEMORY', 'USAGE', key)
  return type(bytes) == 'number' and bytes or 0
end
