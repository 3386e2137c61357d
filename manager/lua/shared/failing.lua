-- Has a job fail: it is kept for its time, and can be resumed.
local function fail_job(job_key, jobs_key, history, job_id, reason, retention_ms, now)
  redis.call('HSET', job_key, 'state', 'failed', 'finished', whole(now), 'error', reason)
  redis.call('ZREM', jobs_key, job_id)
  for _, key in ipairs({ job_key, history }) do
    keep_until(key, now + retention_ms, now)
  end
end
