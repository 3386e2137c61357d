-- Begins a slice of a job, if the job may be worked on now. Slices have numbers, so that of two
-- messages for the same slice one is void: messages of one job do not pile up.
-- Uses: clock full_server job
-- KEYS[1] hash of the job in its home
-- KEYS[2] sorted set: open jobs
-- ARGV[1] job id
-- ARGV[2] lane: 0, or another number for work on the same job beside it
-- ARGV[3] number of the slice, or '' for the next one
-- ARGV[4] sessions that the job has looked at, over all partitions
-- ARGV[5] token of this call, so that it can be repeated
-- Reply: {state of the job, number of the slice} | {'repeated', 0} | {'gone', 0}
local job_key, jobs_key = KEYS[1], KEYS[2]
local job_id, lane, number, done, token = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local now = now_ms()
local slices = 'slices:' .. lane
local found = redis.call('HMGET', job_key, 'state', 'due', slices)
local state, due, begun = found[1], tonumber(found[2]), tonumber(found[3] or 0)
if not state then
  return { 'gone', 0 }
end
if not goes_on(state) and not (state == 'scheduled' and due <= now) then
  return { state, 0 }
end
if redis.call('HGET', job_key, 'token:' .. lane) == token then
  return { state, begun }
end
if number ~= '' and tonumber(number) <= begun then
  return { 'repeated', 0 }
end
work_though_full(jobs_key)
if state ~= 'running' and state ~= 'undoing' then
  state = 'running'
  redis.call('HSET', job_key, 'state', state, 'since', whole(now), 'done_since', done)
  redis.call('HSETNX', job_key, 'started', whole(now))
end
redis.call('HDEL', job_key, 'rings')
redis.call('HSET', job_key, 'heartbeat', whole(now), 'token:' .. lane, token)
redis.call('ZADD', jobs_key, whole(now), job_id)
return { state, redis.call('HINCRBY', job_key, slices, 1) }
