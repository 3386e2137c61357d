-- The one clock: the server's. Numbers go into commands through `whole`, since Lua's own
-- conversion to text keeps only 14 digits.
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function now_ms()
  return math.floor(now_us() / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end
