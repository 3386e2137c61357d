-- Check the type and the time to live of one key.
-- Uses: base integrity
-- KEYS[1] hash, sorted set or string
-- ARGV[1] type that the key should have
-- ARGV[2] how long the key outlives its last member by score, milliseconds, or '' if scores are not times
-- ARGV[3] time to live to set if the key has none and no member says more, milliseconds
-- ARGV[4] 1 to repair findings, else 0
-- Reply: {1 if the key exists and has its type, else 0, damage, key, detail, 1 if repaired else 0, ...}
local key = KEYS[1]
local expected, lingers_ms, keep_ms, repair = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'

local findings = { 0 }
local report = collect_findings(findings, repair)
local stored = type_of(key)
if stored == 'none' then
  return findings
end
if stored ~= expected then
  report('wrong_type', key, stored .. ' instead of ' .. expected)
  return findings
end
findings[1] = 1
local now = now_ms()
local expires = expires_at(key, now)
local latest = lingers_ms and tonumber(redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2] or 0)
local until_ms = latest and latest > now - lingers_ms and latest + lingers_ms or now + keep_ms
if not expires then
  report('no_ttl', key, 'time to live', function()
    redis.call('PEXPIREAT', key, whole(until_ms))
  end)
elseif latest and latest > now and expires < latest + lingers_ms - TOLERANCE_MS then
  report('expiry', key, 'it would expire before its last member', function()
    keep_until(key, latest + lingers_ms, now)
  end)
end
return findings
