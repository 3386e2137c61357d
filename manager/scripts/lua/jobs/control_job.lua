-- Controls a job: pauses, resumes or cancels it, or begins to undo it, if its state allows that. Answers with its
-- record.
-- Uses: base jobs
-- KEYS[1] hash of the job in its home
-- KEYS[2] sorted set: open jobs
-- KEYS[3] string: id of the open job with this kind and these parameters
-- KEYS[4] sorted set: jobs by when they were asked for
-- ARGV[1] job id
-- ARGV[2] 'pause', 'resume', 'cancel' or 'undo'
-- ARGV[3] silence after which a job counts as stalled, milliseconds
-- ARGV[4] how long a job's record is kept, milliseconds
-- Reply: {'ALLOWED' | 'REFUSED' if the state does not allow it, {field, value, ...}, empty if the record is gone}
local job_key, jobs_key, open_key, history = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local job_id, action, silence_ms, retention_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

-- For each action: the states that it changes, and those in which it has been done.
local ACTIONS = {
  pause = { from = { scheduled = 1, queued = 1, running = 1 }, met = { paused = 1 } },
  resume = { from = { paused = 1, cancelled = 1, failed = 1 }, met = { scheduled = 1, queued = 1, running = 1 } },
  cancel = { from = { scheduled = 1, queued = 1, running = 1, paused = 1 }, met = { cancelled = 1 } },
  undo = {
    from = { scheduled = 1, queued = 1, paused = 1, cancelled = 1, failed = 1 },
    met = { undoing = 1, undone = 1 },
  },
}

local function stop(state, now)
  redis.call('ZREM', jobs_key, job_id)
  redis.call('HSET', job_key, 'state', state)
  if state == 'cancelled' then
    redis.call('HSET', job_key, 'finished', whole(now))
  end
end

local function undo(now)
  redis.call('HSET', job_key, 'state', 'undoing', 'is_undo', 1)
  redis.call('ZADD', jobs_key, whole(now), job_id)
  -- Requests for the same work are refused until it is undone, even if a later job is open.
  redis.call('SET', open_key, job_id, 'PX', whole(redis.call('PTTL', job_key)))
end

local now = now_ms()
local found = redis.call('HMGET', job_key, 'state', 'started', 'is_undo')
local state, started, is_undo = found[1] or '', found[2], found[3]
local is_met = ACTIONS[action].met[state]
if not is_met and (not ACTIONS[action].from[state] or action == 'undo' and started) then
  return { 'REFUSED', redis.call('HGETALL', job_key) }
end
if not is_met then
  work_though_full(jobs_key)
  for _, key in ipairs({ job_key, history }) do
    keep_until(key, now + retention_ms, now)
  end
  if action == 'pause' then
    stop('paused', now)
  elseif action == 'cancel' then
    stop('cancelled', now)
  else
    reopen_job(job_key, jobs_key, job_id, silence_ms, now)
    if action == 'undo' or is_undo then
      undo(now)
    end
  end
end
return { 'ALLOWED', redis.call('HGETALL', job_key) }
