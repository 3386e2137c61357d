-- Writes the record of a job, unless the same work is open in another job that it can join.
-- Repeated with the same job, it changes nothing.
-- Uses: clock index job
-- KEYS[1] hash of the job
-- KEYS[2] sorted set: open jobs
-- KEYS[3] string: id of the open job with this kind and these parameters
-- KEYS[4] sorted set that the job works through
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] kind of the job
-- ARGV[4] parameters of the job, JSON
-- ARGV[5] how long a job's record is kept, milliseconds
-- ARGV[6] what the job works on: 'due' (members with a score past), 'live' (to come), 'one' session
-- ARGV[7] 1 to join another job, 0 to work beside it
-- ARGV[8] 0 where parts in other partitions are yet to be written, else 1
-- Reply: id of the job that is open now | 'CONFLICT' where the id is that of a job with other work
local job_key, jobs_key, open_key, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, job_id, kind, params = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local retention_ms, works_on, join, opened = tonumber(ARGV[5]), ARGV[6], ARGV[7] == '1', ARGV[8]

local known = known_job(job_key, kind, params)
if known then
  return known == 'OPEN' and job_id or known
end
local open = join and redis.call('GET', open_key)
local state = open and redis.call('HGET', prefix .. 'job:' .. open, 'state')
if state and state ~= 'done' then
  return open
end
local now = now_ms()
local total = 1
if works_on == 'due' then
  total = redis.call('ZCOUNT', index, '-inf', whole(now))
elseif works_on == 'live' then
  total = redis.call('ZCOUNT', index, '(' .. whole(now), '+inf')
end
local nothing_to_do = total == 0 and opened == '1'
-- A sweep a minute that finds nothing would fill the ledger: what has nothing to do is kept for an hour.
if nothing_to_do then
  retention_ms = math.min(retention_ms, 3600000)
end
write_job(job_key, jobs_key, job_id, kind, params, total, opened, retention_ms, now)
if nothing_to_do then
  finish_job(job_key, jobs_key, job_id, now)
elseif join then
  redis.call('SET', open_key, job_id, 'PX', retention_ms)
end
return job_id
