-- Begins a slice of a job, if the job may be worked on now. Slices have numbers, so that of two
-- messages for the same slice one is void: messages of one job do not pile up. A job of which too
-- many processes have died in a row fails instead.
-- Uses: base jobs
-- KEYS[1] hash of the job in its home
-- KEYS[2] sorted set: open jobs
-- KEYS[3] sorted set: jobs by when they were asked for
-- ARGV[1] job id
-- ARGV[2] shard: 0, or another number for work on the same job beside it
-- ARGV[3] number of the slice, or '' for the next one
-- ARGV[4] sessions that the job has looked at, over all partitions
-- ARGV[5] token of this call, so that it can be repeated
-- ARGV[6] how far the job is: another text once anything is done
-- ARGV[7] silence after which a slice that has done nothing counts as dead, milliseconds
-- ARGV[8] how many deaths are too many
-- ARGV[9] what to say then
-- ARGV[10] how long a job's record is kept, milliseconds
-- Reply: {state of the job, number of the slice} | {'repeated', 0} | {'gone', 0}
local job_key, jobs_key, history = KEYS[1], KEYS[2], KEYS[3]
local job_id, shard, number, done, token = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local position, silence_ms, most_deaths = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local reason, retention_ms = ARGV[9], tonumber(ARGV[10])

local now = now_ms()
local slices = 'slices:' .. shard
local found = redis.call('HMGET', job_key, 'state', 'due', slices)
local state, due, begun = found[1], tonumber(found[2]), tonumber(found[3] or 0)
if not state then
  return { 'gone', 0 }
end
if not goes_on(state) and not (state == 'scheduled' and due <= now) then
  return { state, 0 }
end
if redis.call('HGET', job_key, 'token:' .. shard) == token then
  return { state, begun }
end
if number ~= '' and tonumber(number) <= begun then
  return { 'repeated', 0 }
end
work_though_full(jobs_key)
if count_deaths(job_key, shard, position, silence_ms, now) >= most_deaths then
  fail_job(job_key, jobs_key, history, job_id, reason, retention_ms, now)
  return { 'failed', 0 }
end
if state ~= 'running' and state ~= 'undoing' then
  state = 'running'
  redis.call('HSET', job_key, 'state', state, 'since', whole(now), 'done_since', done)
  redis.call('HSETNX', job_key, 'started', whole(now))
end
redis.call('HDEL', job_key, 'published')
redis.call('HSET', job_key, 'heartbeat', whole(now), 'token:' .. shard, token)
redis.call('ZADD', jobs_key, whole(now), job_id)
return { state, redis.call('HINCRBY', job_key, slices, 1) }
