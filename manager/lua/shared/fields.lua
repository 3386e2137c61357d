-- Writes metadata fields from ARGV in portions, since Lua unpacks at most some 8,000 values at once.
local function set_fields(session_key, first, last)
  for start = first, last, 1000 do
    redis.call('HSET', session_key, unpack(ARGV, start, math.min(start + 999, last)))
  end
end
