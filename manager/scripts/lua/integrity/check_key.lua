-- Looks at one key by itself: its type, and its time to live.
-- Uses: base integrity
-- KEYS[1] hash, sorted set or string
-- ARGV[1] the type that it should have
-- ARGV[2] how long it outlives its last member by its score, milliseconds, or '' where scores say nothing
-- ARGV[3] how long it is kept where it has no time to live, and no member says more, milliseconds
-- ARGV[4] 1 to mend what is found, else 0
-- Reply: {1 where it has its type, 0 where not or where there is no such key, damage, key, about, 1 where it was mended, else 0, ...}
local key = KEYS[1]
local expected, lingers_ms, keep_ms, repair = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'

local findings = { 0 }
local found = collect_findings(findings, repair)
local stored = type_of(key)
if stored == 'none' then
  return findings
end
if stored ~= expected then
  found('wrong_type', key, stored .. ' instead of ' .. expected)
  return findings
end
findings[1] = 1
local now = now_ms()
local goes = goes_at(key, now)
local latest = lingers_ms and tonumber(redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2] or 0)
local until_ms = latest and latest > now - lingers_ms and latest + lingers_ms or now + keep_ms
if not goes then
  found('no_ttl', key, 'time to live', function()
    redis.call('PEXPIREAT', key, whole(until_ms))
  end)
elseif latest and latest > now and goes < latest + lingers_ms - TOLERANCE_MS then
  found('expiry', key, 'it would go before its last member', function()
    keep_until(key, latest + lingers_ms, now)
  end)
end
return findings
