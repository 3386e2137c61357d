-- Check one session as a whole, and repair it if asked to: its keys have their types, it is listed or
-- revoked, its times to live and scores are its expiry, and the counts in its hash are right. All in one
-- step, so that the check never sees a change that somebody else has half made.
-- Uses: base sessions integrity
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] letter of the key that led here: 's', 'c' or 'o'. If the hash exists, only 's' checks the session
-- ARGV[4] 1 to repair findings, else 0
-- ARGV[5] how long the expiry index outlives its members, milliseconds
-- Reply: {1 if the session is live and can be read further, else 0, damage, key, detail, 1 if repaired else 0, ...}
local session_key, checkpoints, order = KEYS[1], KEYS[2], KEYS[3]
local prefix, session_id, letter, repair, linger_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', tonumber(ARGV[5])

local findings = { 0 }
local report = collect_findings(findings, repair)
local now = now_ms()
local own_keys = { session_key, checkpoints, order }
local exists = redis.call('EXISTS', session_key) == 1
if letter ~= 's' and exists then
  return findings
end
for place, expected in ipairs({ 'hash', 'hash', 'zset' }) do
  local stored = type_of(own_keys[place])
  if stored ~= expected and stored ~= 'none' then
    report('wrong_type', own_keys[place], stored .. ' instead of ' .. expected)
  end
end
if #findings > 1 then
  return findings
end
if not exists then
  for _, key in ipairs({ checkpoints, order }) do
    if redis.call('EXISTS', key) == 1 then
      report('orphan', key, 'its session is gone', function()
        redis.call('UNLINK', key)
      end)
    end
  end
  return findings
end

local session = read_session(report, prefix, own_keys, session_id)
if not session or session.expires <= now then
  return findings
end
if not check_listing(report, prefix, own_keys, session_id, session) then
  return findings
end
check_expiry(report, prefix, own_keys, session_id, session, linger_ms, now)
check_counts(report, session_key, order)
findings[1] = 1
return findings
