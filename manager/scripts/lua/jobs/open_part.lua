-- Opens the part of a job in a partition that is not its home, or takes a request that joined the job into it: a
-- deletion takes away the index that is there now. Whoever does that for a request, and however late, it is done
-- once, and not after a later request has been taken in. Answers with the record of the part.
-- Uses: base jobs
-- KEYS[1] hash of the job in this partition
-- KEYS[2] sorted set: the index that the job takes away or works through
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] kind of the job
-- ARGV[4] parameters of the job, JSON
-- ARGV[5] members of the index that the job works on: 'all', 'due' or 'live'
-- ARGV[6] letter of the index that a deletion takes away ('u' or 'a'), else ''
-- ARGV[7] its owner, or ''
-- ARGV[8] number of the request among those that the job took
-- ARGV[9] grace, milliseconds
-- ARGV[10] how long a job's record is kept, milliseconds
-- Reply: {what the request added to the job's work, how long this part is kept, milliseconds, {field, value, ...}}
local job_key, index = KEYS[1], KEYS[2]
local prefix, job_id, kind, params, members = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local letter, owner, number = ARGV[6], ARGV[7], tonumber(ARGV[8])
local grace_ms, retention_ms = tonumber(ARGV[9]), tonumber(ARGV[10])

local moment_us = now_us()
local now = math.floor(moment_us / 1000)
local opened = redis.call('HMGET', job_key, 'opened', 'added')
local opened_to, added = tonumber(opened[1] or 0), 0
if opened_to < number then
  work_though_full(index)
  added = count_work(index, members, now)
  if letter ~= '' and opened_to == 0 then
    added = added + count_left_revoked(prefix, job_key, letter, owner)
  end
  write_part(job_key, kind, params, now)
  redis.call('HINCRBY', job_key, 'total', added)
  redis.call('HSET', job_key, 'opened', number, 'added', added)
  local void = now + grace_ms
  if letter ~= '' then
    void = math.max(void, revoke(prefix, index, job_key, job_id, letter, owner, moment_us))
  end
  keep_until(job_key, void + retention_ms, now)
elseif opened_to == number then
  added = tonumber(opened[2]) or 0
end
return { added, redis.call('PTTL', job_key), redis.call('HGETALL', job_key) }
