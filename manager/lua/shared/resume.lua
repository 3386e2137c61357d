-- Has a stopped job go on: at its time, if it has not begun and its grace is not over. Its state then.
local function go_on_again(job_key, jobs_key, job_id, silence_ms, now)
  local found = redis.call('HMGET', job_key, 'due', 'started')
  local due = tonumber(found[1]) or now
  local waits = due > now and not found[2]
  local state = waits and 'scheduled' or 'queued'
  redis.call('HDEL', job_key, 'finished', 'error', 'failures')
  redis.call('HSET', job_key, 'state', state)
  redis.call('HINCRBY', job_key, 'resumed', 1)
  redis.call('ZADD', jobs_key, whole(waits and due - silence_ms or now), job_id)
  redis.call('PEXPIRE', jobs_key, math.max(redis.call('PTTL', jobs_key), redis.call('PTTL', job_key)))
  return state
end
