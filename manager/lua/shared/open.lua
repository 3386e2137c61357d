-- Opening a job: its record, what it counts as its work, and the index that a deletion takes away.

-- What is there to be worked on. 'all': every member; 'due': with a score past; 'live': to come;
-- 'one': a single session.
local function count_work(index, works_on, now)
  if works_on == 'all' then
    return redis.call('ZCARD', index)
  elseif works_on == 'due' then
    return redis.call('ZCOUNT', index, '-inf', whole(now))
  elseif works_on == 'live' then
    return redis.call('ZCOUNT', index, '(' .. whole(now), '+inf')
  end
  return 1
end

local function write_part(job_key, kind, params, now)
  if redis.call('HSETNX', job_key, 'kind', kind) == 1 then
    redis.call('HSET', job_key, 'params', params, 'total', 0, 'done', 0, 'removed', 0,
      'heartbeat', whole(now))
  end
end

-- Takes an index away into the job's next trash, which revokes every session in it. The trash is
-- noted by kind, for counts, and by owner, for other deletions that reclaim the same sessions.
local function detach(prefix, index, job_key, job_id, letter, owner, now_us)
  local now = math.floor(now_us / 1000)
  redis.call('HSET', job_key, 'cutoff', whole(now_us))
  if redis.call('EXISTS', index) == 0 then
    return now
  end
  redis.call('HDEL', job_key, 'worked_off')
  local name = job_id .. ':' .. redis.call('HINCRBY', job_key, 'trashes', 1)
  local trash = prefix .. 'trash:' .. name
  redis.call('RENAME', index, trash)
  local void = now + redis.call('PTTL', trash)
  for _, key in ipairs({ prefix .. 'detached:' .. letter, prefix .. 'detached:' .. letter .. ':' .. owner }) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
    redis.call('ZADD', key, whole(void), name)
    keep_until(key, void, now)
  end
  return void
end

local function can_be_joined(state)
  return state == 'scheduled' or state == 'queued' or state == 'running' or state == 'paused'
end

-- Notes which job a request joined, so that the request can be repeated, however late.
local function note_joined(request_key, kind, params, job_id, added, until_ms, now)
  redis.call('HSET', request_key, 'kind', kind, 'params', params, 'joined', job_id, 'added', added)
  keep_until(request_key, until_ms, now)
end

-- Of two requests for the same work, the one that wants it sooner decides; when that is.
local function begin_sooner(job_key, jobs_key, job_id, due, silence_ms)
  local found = redis.call('HMGET', job_key, 'state', 'due')
  local sooner = math.min(due, tonumber(found[2]) or due)
  redis.call('HSET', job_key, 'due', whole(sooner))
  if found[1] == 'scheduled' then
    redis.call('ZADD', jobs_key, whole(sooner - silence_ms), job_id)
  end
  return sooner
end

-- Jobs by when they were asked for. Records are forgotten in time, and each new job looks whether
-- some entry of another is left without one: of ten at some place, so that in the long run few are.
local function note_in_history(prefix, history, job_id, now)
  local place = now % math.max(1, redis.call('ZCARD', history))
  for _, other in ipairs(redis.call('ZRANGE', history, place, place + 9)) do
    if redis.call('EXISTS', prefix .. 'job:' .. other) == 0 then
      redis.call('ZREM', history, other)
    end
  end
  redis.call('ZADD', history, whole(now), job_id)
end
