-- Looks at one session as a whole, and mends it where that is asked for: whether its keys are of their
-- types, it is listed or revoked, its times to live and scores are those of its expiry, and the counts in
-- its hash are right. All in one step, so that nothing seen was half done by somebody else.
-- Uses: base sessions integrity
-- KEYS[1] hash of the session
-- KEYS[2] hash of its checkpoints
-- KEYS[3] sorted set: order of its checkpoints
-- ARGV[1] prefix of the partition
-- ARGV[2] session id
-- ARGV[3] letter of the key that led here: 's', 'c' or 'o'. A session is looked at for its hash only
-- ARGV[4] 1 to mend what is found, else 0
-- ARGV[5] how long the expiry index outlives its members, milliseconds
-- Reply: {1 where it is live and can be read further, else 0, damage, key, about, 1 where it was mended, else 0, ...}
local session_key, checkpoints, order = KEYS[1], KEYS[2], KEYS[3]
local prefix, session_id, letter, repair, linger_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', tonumber(ARGV[5])

local findings = { 0 }
local found = collect_findings(findings, repair)
local now = now_ms()
local own_keys = { session_key, checkpoints, order }
local is_there = redis.call('EXISTS', session_key) == 1
if letter ~= 's' and is_there then
  return findings
end
for place, expected in ipairs({ 'hash', 'hash', 'zset' }) do
  local stored = type_of(own_keys[place])
  if stored ~= expected and stored ~= 'none' then
    found('wrong_type', own_keys[place], stored .. ' instead of ' .. expected)
  end
end
if #findings > 1 then
  return findings
end
if not is_there then
  for _, key in ipairs({ checkpoints, order }) do
    if redis.call('EXISTS', key) == 1 then
      found('orphan', key, 'its session is gone', function()
        redis.call('UNLINK', key)
      end)
    end
  end
  return findings
end

local session = read_session(found, prefix, own_keys, session_id)
if not session or session.expires <= now then
  return findings
end
local listed = look_at_listing(found, prefix, own_keys, session_id, session)
if not listed then
  return findings
end
look_at_expiry(found, prefix, own_keys, session_id, session, linger_ms, now)
look_at_counts(found, session_key, order)
findings[1] = 1
return findings
