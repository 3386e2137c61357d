-- The ledger: one hash per job, and a sorted set of the open ones by last heartbeat.

-- A server whose memory is full refuses what may need more, but not to a script that has written
-- already. Bulk work is what frees memory then, so each of its scripts first writes nothing.
local function work_though_full(jobs_key)
  redis.call('ZREM', jobs_key, '')
end

-- What opening a job answers where its id is known already: 'OPEN' if the call is a repeated one.
local function known_job(job_key, kind, params)
  local known = redis.call('HMGET', job_key, 'kind', 'params')
  if not known[1] then
    return nil
  end
  return known[1] == kind and known[2] == params and 'OPEN' or 'CONFLICT'
end

-- opened: 0 where the job has parts in other partitions that are yet to be written, else 1.
local function write_job(job_key, jobs_key, job_id, kind, params, total, opened, retention_ms, now)
  work_though_full(jobs_key)
  redis.call('HSET', job_key, 'kind', kind, 'params', params, 'state', 'queued', 'total', total,
    'opened', opened, 'done', 0, 'removed', 0, 'requested', whole(now), 'heartbeat', whole(now))
  redis.call('ZADD', jobs_key, whole(now), job_id)
  keep_until(job_key, now + retention_ms, now)
  keep_until(jobs_key, now + retention_ms, now)
end

local function finish_job(job_key, jobs_key, job_id, now)
  redis.call('HSET', job_key, 'state', 'done', 'finished', whole(now))
  redis.call('ZREM', jobs_key, job_id)
end

-- What a batch answers without doing anything: nil where the job is open.
local function closed_reply(job_key)
  local state = redis.call('HGET', job_key, 'state')
  if not state then
    return 'GONE'
  end
  return state == 'done' and 0 or nil
end

-- Counts what a batch did and beats the heart, in the same step as the work, so that nothing is
-- lost or counted twice whatever dies. Two workers on one job are harmless.
local function record_batch(job_key, jobs_key, job_id, done, removed, finished, retention_ms, now)
  work_though_full(jobs_key)
  redis.call('HSET', job_key, 'state', 'running', 'heartbeat', whole(now))
  redis.call('HINCRBY', job_key, 'done', done)
  redis.call('HINCRBY', job_key, 'removed', removed)
  redis.call('ZADD', jobs_key, whole(now), job_id)
  keep_until(job_key, now + retention_ms, now)
  keep_until(jobs_key, now + retention_ms, now)
  if finished then
    finish_job(job_key, jobs_key, job_id, now)
  end
end
