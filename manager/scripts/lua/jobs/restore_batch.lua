-- Restores some sessions that a deletion has revoked: into the index of their owner as it is now, with the expiry
-- that they had. Sessions that expired or were reclaimed meanwhile stay gone.
-- Uses: base jobs
-- KEYS[1] hash of the job in this partition
-- KEYS[2] sorted set: open jobs
-- KEYS[3] sorted set: index that was taken away
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] most sessions to take
-- ARGV[4] letter of the index: 'u' or 'a'
-- ARGV[5] its owner
-- Reply: 'MORE' | 'END' | 'HALTED' | 'GONE'
local job_key, jobs_key, index = KEYS[1], KEYS[2], KEYS[3]
local prefix, job_id, limit, letter, owner = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

local closed = closed_reply(job_key)
if closed then
  return closed
end
work_though_full(jobs_key)
local name = current_revoked_set(prefix, job_key, job_id, letter, owner, true)
if not name then
  return batch_reply(job_key, false)
end
local now = now_ms()
local revoked = prefix .. 'revoked:' .. name
local taken = redis.call('ZRANGE', revoked, 0, limit - 1, 'WITHSCORES')
local restored, latest = {}, 0
for i = 1, #taken, 2 do
  local expires = tonumber(taken[i + 1])
  if expires > now and redis.call('EXISTS', prefix .. 's:' .. taken[i]) == 1 then
    restored[#restored + 1] = taken[i + 1]
    restored[#restored + 1] = taken[i]
    latest = math.max(latest, expires)
  end
end
if #restored > 0 then
  redis.call('ZADD', index, unpack(restored))
  keep_until(index, latest, now)
end
redis.call('ZREMRANGEBYRANK', revoked, 0, #taken / 2 - 1)
local more = current_revoked_set(prefix, job_key, job_id, letter, owner, true)
record_batch(job_key, jobs_key, job_id, { restored = #restored / 2,
  lost = (#taken - #restored) / 2 }, now)
return batch_reply(job_key, more)
