-- Note the layout of the store, as far as it is not noted yet, or tell how the noted one differs.
-- Uses: base
-- KEYS[1] hash: the layout
-- ARGV[1] how long the layout is kept from now, milliseconds
-- ARGV[2] and on: fields of the layout and their values in turn
-- Reply: {field, noted value, ... of those that differ}
local layout, kept_ms, first_field = KEYS[1], tonumber(ARGV[1]), 2

local differing, new = {}, {}
for i = first_field, #ARGV, 2 do
  local noted = redis.pcall('HGET', layout, ARGV[i])
  if wrong_type(noted) then
    return damaged(layout)
  end
  if not noted then
    new[#new + 1] = ARGV[i]
    new[#new + 1] = ARGV[i + 1]
  elseif noted ~= ARGV[i + 1] then
    differing[#differing + 1] = ARGV[i]
    differing[#differing + 1] = noted
  end
end
if #differing == 0 then
  -- Of a caller who may only read, and on a server that takes no writes now, nothing is noted. The next one does it.
  if #new > 0 then
    redis.pcall('HSET', layout, unpack(new))
  end
  if redis.call('PTTL', layout) < kept_ms / 2 then
    redis.pcall('PEXPIRE', layout, kept_ms)
  end
end
return differing
