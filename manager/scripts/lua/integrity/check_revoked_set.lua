-- Check that a revoked set has a job, and that the lists of revoked sets name it. A revoked set that they do
-- not name makes its sessions look as if nobody had revoked them.
-- Uses: base integrity
-- KEYS[1] sorted set: a revoked set
-- KEYS[2] hash of its job
-- ARGV[1] prefix of the partition
-- ARGV[2] name of the revoked set
-- ARGV[3] 1 to repair findings, else 0
-- Reply: {0, damage, key, detail, 1 if repaired else 0, ...}
local revoked, job_key = KEYS[1], KEYS[2]
local prefix, name, repair = ARGV[1], ARGV[2], ARGV[3] == '1'

local findings = { 0 }
local report = collect_findings(findings, repair)
if type_of(revoked) ~= 'zset' then
  return findings
end
if redis.call('EXISTS', job_key) == 0 then
  report('revoked', revoked, 'its job is gone', function()
    redis.call('UNLINK', revoked)
  end)
  return findings
end
local job = type_of(job_key) == 'hash' and redis.call('HMGET', job_key, 'kind', 'params') or {}
local readable, params = pcall(cjson.decode, job[2] or '')
local owner = readable and type(params) == 'table' and (params.user_id or params.agent_id)
if not owner then
  return findings
end
local letter = params.user_id and 'u' or 'a'
local now = now_ms()
local expires = expires_at(revoked, now) or now
local place = stored_number(string.match(name, ':(%d+)$')) or 0
for list, score in pairs({
  ['revocations:' .. letter] = expires,
  ['revocations:' .. letter .. ':' .. owner] = place,
}) do
  local key = prefix .. list
  local stored = type_of(key)
  if stored == 'none' or stored == 'zset' and not redis.call('ZSCORE', key, name) then
    report('unlisted', key, name, function()
      redis.call('ZADD', key, whole(score), name)
      keep_until(key, expires, now)
    end)
  end
end
return findings
