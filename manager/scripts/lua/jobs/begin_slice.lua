-- Begins a slice of a job, if the job may be worked on now, and answers with the job's record. Slices have
-- numbers, so of two messages for one slice the later is void: messages of a job do not pile up.
-- Uses: base jobs
-- KEYS[1] hash of the job in its home, or of a request that joined it
-- KEYS[2] sorted set: open jobs
-- ARGV[1] prefix of the partition
-- ARGV[2] job id
-- ARGV[3] shard: 0, or another number for work on the same job beside it
-- ARGV[4] number of the slice, or '' for the next one
-- ARGV[5] token of this call, so that it can be repeated
-- ARGV[6] silence after which a slice that has done nothing counts as dead, milliseconds
-- ARGV[7] sessions that the job has looked at in its other partitions
-- ARGV[8] how far the job is in its other partitions
-- Reply: {'BEGUN', number of the slice, attempts in a row that came to nothing, job id, {field, value, ...}} | {'HALTED', 0, 0, job id, {field, value, ...}} | {'REPEATED'} | {'GONE'}
local job_key, jobs_key = KEYS[1], KEYS[2]
local prefix, job_id, shard, number, token, silence_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local done_elsewhere, elsewhere = ARGV[7], ARGV[8]

job_id, job_key = resolve_job(prefix, job_key, job_id)
local now = now_ms()
local slices = 'slices:' .. shard
local found = redis.call('HMGET', job_key, 'state', 'token:' .. shard, 'due', 'done', 'heartbeat', slices)
local state, last_token, due, done = found[1], found[2], stored_number(found[3]), stored_number(found[4])
local begun = stored_number(found[6] or '0')
if not state then
  return { 'GONE' }
end
if not (due and done and stored_number(found[5]) and begun) then
  return damaged(job_key)
end
if not is_active(state) and not (state == 'scheduled' and due <= now) then
  return { 'HALTED', 0, 0, job_id, redis.call('HGETALL', job_key) }
end
local position = position_of(job_key, elsewhere)
if last_token ~= token then
  if number ~= '' and tonumber(number) <= begun then
    return { 'REPEATED' }
  end
  work_though_full(jobs_key)
  begin_attempt(job_key, shard, token, position, silence_ms, now)
  if state ~= 'running' and state ~= 'undoing' then
    redis.call('HSET', job_key, 'state', 'running', 'since', whole(now), 'done_since', whole(done + done_elsewhere))
    redis.call('HSETNX', job_key, 'started', whole(now))
  end
  redis.call('HDEL', job_key, 'published')
  redis.call('HSET', job_key, 'heartbeat', whole(now), 'token:' .. shard, token)
  redis.call('ZADD', jobs_key, whole(now), job_id)
  begun = redis.call('HINCRBY', job_key, slices, 1)
end
return { 'BEGUN', begun, vain_attempts(job_key, position), job_id, redis.call('HGETALL', job_key) }
