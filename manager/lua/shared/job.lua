-- The ledger. A job has a record, a hash, in each partition that it works on; the one in its home
-- also holds its state, and is the only one that decides whether the job goes on.

-- Counts what a batch did and beats the heart, in the same step as the work, so that nothing is
-- lost or counted twice whatever dies. Two workers on one job are harmless.
local function record_batch(job_key, jobs_key, job_id, counts, now)
  work_though_full(jobs_key)
  for field, count in pairs(counts) do
    redis.call('HINCRBY', job_key, field, count)
  end
  redis.call('HSET', job_key, 'heartbeat', whole(now))
  if redis.call('HEXISTS', job_key, 'state') == 1 then
    redis.call('ZADD', jobs_key, whole(now), job_id)
  end
end

local function goes_on(state)
  return state == 'queued' or state == 'running' or state == 'undoing'
end

-- What a batch answers without doing anything; nil where it may go on.
local function closed_reply(job_key)
  local found = redis.call('HMGET', job_key, 'kind', 'state', 'worked_off')
  if not found[1] then
    return 'GONE'
  end
  if found[2] and not goes_on(found[2]) then
    return 'HALTED'
  end
  return found[3] and 'END' or nil
end

-- The answer of a batch: at the end, the part of the job in this partition is marked as worked off.
local function batch_reply(job_key, more)
  if more then
    return 'MORE'
  end
  redis.call('HSET', job_key, 'worked_off', 1)
  return 'END'
end
