-- Notes that all parts of a job have been written, unless a later request is writing them again, and answers with
-- the record of the job's home.
-- Uses: base
-- KEYS[1] hash of the job
-- KEYS[2] sorted set: open jobs
-- KEYS[3] sorted set: jobs by when they were asked for
-- KEYS[4] hash of the request: the record of the job, or a note that it joined it
-- ARGV[1] id of the request
-- ARGV[2] what was added to the job's work with those parts
-- ARGV[3] how long the longest of them is kept, milliseconds
-- ARGV[4] silence after which a job counts as stalled, milliseconds
-- ARGV[5] job id
-- Reply: {field, value, ...} of the job, empty if its record is gone
local job_key, jobs_key, history, request_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local request_id, added, kept_ms, silence_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local job_id = ARGV[5]

if redis.call('HGET', job_key, 'opening') ~= request_id then
  return redis.call('HGETALL', job_key)
end
work_though_full(jobs_key)
if redis.call('EXISTS', request_key) == 1 then
  redis.call('HINCRBY', request_key, 'added', added)
end
-- Without the home part, the others would belong to no job.
local now = now_ms()
for _, key in ipairs({ job_key, jobs_key, history }) do
  keep_until(key, now + kept_ms, now)
end
local found = redis.call('HMGET', job_key, 'state', 'due')
if found[1] == 'scheduled' then
  redis.call('ZADD', jobs_key, whole(tonumber(found[2]) - silence_ms), job_id)
end
redis.call('HDEL', job_key, 'opening')
return redis.call('HGETALL', job_key)
