-- Has a job pause, resume, be cancelled, or begin to be undone, if its state allows it.
-- Uses: base jobs
-- KEYS[1] hash of the job in its home
-- KEYS[2] sorted set: open jobs
-- KEYS[3] string: id of the open job with this kind and these parameters
-- KEYS[4] sorted set: jobs by when they were asked for
-- ARGV[1] job id
-- ARGV[2] 'pause', 'resume', 'cancel' or 'undo'
-- ARGV[3] silence after which a job counts as stalled, milliseconds
-- ARGV[4] how long a job's record is kept, milliseconds
-- Reply: {1 | 0 where the state does not allow it, state} | {0, 'gone'}
local job_key, jobs_key, open_key, history = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local job_id, action, silence_ms, retention_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

-- For each action: the states in which it does something, and those in which it has been done.
local ACTIONS = {
  pause = { from = { scheduled = 1, queued = 1, running = 1 }, met = { paused = 1 } },
  resume = { from = { paused = 1, cancelled = 1, failed = 1 }, met = { scheduled = 1, queued = 1, running = 1 } },
  cancel = { from = { scheduled = 1, queued = 1, running = 1, paused = 1 }, met = { cancelled = 1 } },
  undo = { from = { scheduled = 1, queued = 1, paused = 1, cancelled = 1, failed = 1 }, met = { undoing = 1, undone = 1 } },
}

local now = now_ms()
local found = redis.call('HMGET', job_key, 'state', 'started', 'is_undo')
local state, started, is_undo = found[1], found[2], found[3]
if not state then
  return { 0, 'gone' }
end
if ACTIONS[action].met[state] then
  return { 1, state }
end
if not ACTIONS[action].from[state] or action == 'undo' and started then
  return { 0, state }
end
work_though_full(jobs_key)
for _, key in ipairs({ job_key, history }) do
  keep_until(key, now + retention_ms, now)
end
if action == 'pause' or action == 'cancel' then
  state = action == 'pause' and 'paused' or 'cancelled'
  redis.call('ZREM', jobs_key, job_id)
  redis.call('HSET', job_key, 'state', state)
  if action == 'cancel' then
    redis.call('HSET', job_key, 'finished', whole(now))
  end
  return { 1, state }
end
state = go_on_again(job_key, jobs_key, job_id, silence_ms, now)
if action == 'undo' or is_undo then
  state = 'undoing'
  redis.call('HSET', job_key, 'state', state, 'is_undo', 1)
  redis.call('ZADD', jobs_key, whole(now), job_id)
  -- Requests for the same work are refused until it is undone, also where a later job is open.
  redis.call('SET', open_key, job_id, 'PX', whole(redis.call('PTTL', job_key)))
end
return { 1, state }
