-- The revoked sets of a deletion: one for each time that it took its owner's index away.

local function forget_revoked_set(prefix, letter, owner, name)
  redis.call('ZREM', prefix .. 'revocations:' .. letter, name)
  redis.call('ZREM', prefix .. 'revocations:' .. letter .. ':' .. owner, name)
end

-- Name of the first revoked set that still holds something; nil where none does. Those that are empty
-- are forgotten.
local function current_revoked_set(prefix, job_key, job_id, letter, owner)
  local found = redis.call('HMGET', job_key, 'revoked_sets', 'emptied')
  local last, emptied = tonumber(found[1] or 0), tonumber(found[2] or 0)
  while emptied < last do
    local name = job_id .. ':' .. (emptied + 1)
    if redis.call('EXISTS', prefix .. 'revoked:' .. name) == 1 then
      return name
    end
    forget_revoked_set(prefix, letter, owner, name)
    emptied = redis.call('HINCRBY', job_key, 'emptied', 1)
  end
  return nil
end

-- Removes sessions that are being reclaimed from the revoked sets of deletions of the other kind, so
-- that they are neither counted as revoked nor brought back by an undo. groups: members by owner.
local function leave_other_revoked_sets(prefix, letter, members_by_owner)
  if redis.call('EXISTS', prefix .. 'revocations:' .. letter) == 0 then
    return
  end
  for owner, members in pairs(members_by_owner) do
    for _, name in ipairs(redis.call('ZRANGE', prefix .. 'revocations:' .. letter .. ':' .. owner, 0, -1)) do
      redis.call('ZREM', prefix .. 'revoked:' .. name, unpack(members))
    end
  end
end

-- Processes that died of a job. A slice that begins leaves a mark: when, and how far the job was. Its end
-- takes the mark away; work that was done makes it void, and so does a stop of the job. Where a later slice
-- finds one that holds and is old enough, nothing was heard of the slice that left it: its process has died.
-- How many did so, one after the other and with nothing done in between.
local function count_deaths(job_key, shard, position, silence_ms, now)
  local mark, place = 'unheard:' .. shard, 'unheard_at:' .. shard
  local found = redis.call('HMGET', job_key, mark, place, 'deaths', 'died_at', 'resumed')
  position = position .. ' ' .. (found[5] or 0)
  local deaths = found[4] == position and tonumber(found[3]) or 0
  if not found[1] or found[2] ~= position then
    redis.call('HSET', job_key, mark, whole(now), place, position)
  elseif now - (tonumber(found[1]) or 0) >= silence_ms then
    deaths = deaths + 1
    redis.call('HSET', job_key, mark, whole(now), 'deaths', deaths, 'died_at', position)
  end
  return deaths
end

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
  local found = redis.call('HMGET', job_key, 'kind', 'state', 'drained')
  if not found[1] then
    return 'GONE'
  end
  if found[2] and not goes_on(found[2]) then
    return 'HALTED'
  end
  return found[3] and 'END' or nil
end

-- The answer of a batch: at the end, the part of the job in this partition is marked as drained.
local function batch_reply(job_key, more)
  if more then
    return 'MORE'
  end
  redis.call('HSET', job_key, 'drained', 1)
  return 'END'
end

-- Opening a job: its record, what it counts as its work, and the index that a deletion takes away.

-- What is there to be worked on. 'all': every member; 'due': with a score past; 'live': to come;
-- 'one': a single session.
local function count_work(index, selection, now)
  if selection == 'all' then
    return redis.call('ZCARD', index)
  elseif selection == 'due' then
    return redis.call('ZCOUNT', index, '-inf', whole(now))
  elseif selection == 'live' then
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

-- Takes an index away into the job's next revoked, which revokes every session in it. The revoked set is
-- noted by kind, for counts, and by owner, for other deletions that reclaim the same sessions.
local function revoke(prefix, index, job_key, job_id, letter, owner, now_us)
  local now = math.floor(now_us / 1000)
  redis.call('HSET', job_key, 'cutoff', whole(now_us))
  if redis.call('EXISTS', index) == 0 then
    return now
  end
  redis.call('HDEL', job_key, 'drained')
  local name = job_id .. ':' .. redis.call('HINCRBY', job_key, 'revoked_sets', 1)
  local revoked = prefix .. 'revoked:' .. name
  redis.call('RENAME', index, revoked)
  local void = now + redis.call('PTTL', revoked)
  for _, key in ipairs({ prefix .. 'revocations:' .. letter, prefix .. 'revocations:' .. letter .. ':' .. owner }) do
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

-- Has a job fail: it is kept for its time, and can be resumed.
local function fail_job(job_key, jobs_key, history, job_id, reason, retention_ms, now)
  redis.call('HSET', job_key, 'state', 'failed', 'finished', whole(now), 'error', reason)
  redis.call('ZREM', jobs_key, job_id)
  for _, key in ipairs({ job_key, history }) do
    keep_until(key, now + retention_ms, now)
  end
end
