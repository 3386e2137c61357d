-- A job has a record, a hash, in each partition that it works on. The record in the job's home also holds the
-- job's state, and alone decides if the job goes on.

-- Return the id and the key of a job: of the one that this request joined, if it joined one.
local function resolve_job(prefix, job_key, job_id)
  local joined = redis.call('HGET', job_key, 'joined')
  if joined then
    return joined, prefix .. 'job:' .. joined
  end
  return job_id, job_key
end

local function is_active(state)
  return state == 'queued' or state == 'running' or state == 'undoing'
end

-- Count what a batch did and write the heartbeat in the same step as the work: whatever dies, nothing is lost
-- or counted twice, and two workers on one job are harmless.
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

-- Return the reply of a batch that has nothing to do here, or nil if the batch may work.
local function closed_reply(job_key)
  local found = redis.call('HMGET', job_key, 'kind', 'state', 'drained')
  if not found[1] then
    return 'GONE'
  end
  if found[2] and not is_active(found[2]) then
    return 'HALTED'
  end
  return found[3] and 'END' or nil
end

-- Return the reply of a batch that has worked. At the end, mark the record of this partition as drained.
local function batch_reply(job_key, more)
  if more then
    return 'MORE'
  end
  redis.call('HSET', job_key, 'drained', 1)
  return 'END'
end

-- Attempts. A slice that begins is an attempt, and leaves a mark: when it began, its token, and how far the job
-- was. A slice that ends in good order takes its mark away. An attempt comes to nothing if a batch of it is
-- refused, or if its process dies: then a later slice of the shard finds the mark, old and with the job just as
-- far. One counter in the job's home counts attempts in a row that came to nothing. It holds for one position
-- of the job, so progress in any partition clears it, and so does a stop of the job.

-- Return how far the job is: another text once anything is done, or once the job is resumed.
-- elsewhere: the same of its other partitions.
local function position_of(job_key, elsewhere)
  local counts = redis.call('HMGET', job_key, 'done', 'removed', 'restored', 'lost', 'drained', 'resumed')
  for i = 1, #counts do
    counts[i] = counts[i] or 0
  end
  return table.concat(counts, ':') .. '/' .. elsewhere
end

-- Return how many attempts in a row have come to nothing.
local function vain_attempts(job_key, position)
  local found = redis.call('HMGET', job_key, 'attempts', 'attempts_at')
  return found[2] == position and tonumber(found[1]) or 0
end

local function count_vain_attempt(job_key, position)
  local attempts = vain_attempts(job_key, position) + 1
  redis.call('HSET', job_key, 'attempts', attempts, 'attempts_at', position)
end

-- Mark the beginning of an attempt, and count the one before it if that came to nothing. Slices of one shard
-- that begin soon after one another are one attempt: the mark of the first one stays.
local function begin_attempt(job_key, shard, token, position, silence_ms, now)
  local mark = 'attempt:' .. shard
  local since, at = string.match(redis.call('HGET', job_key, mark) or '', '^(%d+) %S+ (.*)$')
  if at == position then
    if now - since < silence_ms then
      return
    end
    count_vain_attempt(job_key, position)
  end
  redis.call('HSET', job_key, mark, whole(now) .. ' ' .. token .. ' ' .. position)
end

-- Take the mark of an attempt away. Return true if the mark was there and is that of the slice with this token.
local function end_attempt(job_key, shard, token)
  local mark = 'attempt:' .. shard
  if string.match(redis.call('HGET', job_key, mark) or '', '^%d+ (%S+) ') ~= token then
    return false
  end
  return redis.call('HDEL', job_key, mark) == 1
end

-- Let a job fail. Its record is kept for its time, and the job can be resumed.
local function fail_job(job_key, jobs_key, history, job_id, reason, retention_ms, now)
  redis.call('HSET', job_key, 'state', 'failed', 'finished', whole(now), 'error', reason)
  redis.call('ZREM', jobs_key, job_id)
  for _, key in ipairs({ job_key, history }) do
    keep_until(key, now + retention_ms, now)
  end
end

-- Let a stopped job go on, and return its state then: 'scheduled' if it has not begun and its grace is not over.
local function reopen_job(job_key, jobs_key, job_id, silence_ms, now)
  local found = redis.call('HMGET', job_key, 'due', 'started')
  local due = tonumber(found[1]) or now
  local waits = due > now and not found[2]
  local state = waits and 'scheduled' or 'queued'
  redis.call('HDEL', job_key, 'finished', 'error', 'attempts', 'attempts_at')
  redis.call('HSET', job_key, 'state', state)
  redis.call('HINCRBY', job_key, 'resumed', 1)
  redis.call('ZADD', jobs_key, whole(waits and due - silence_ms or now), job_id)
  redis.call('PEXPIRE', jobs_key, math.max(redis.call('PTTL', jobs_key), redis.call('PTTL', job_key)))
  return state
end

-- Revoked sets of a user or an agent: one for each time that a deletion took the index away. A list for each owner
-- has their names, `<job id>:<place in the list>`, scored by their places, which rise.

local function forget_revoked_set(prefix, letter, owner, name)
  redis.call('ZREM', prefix .. 'revocations:' .. letter, name)
  redis.call('ZREM', prefix .. 'revocations:' .. letter .. ':' .. owner, name)
end

local function job_of_revoked_set(name)
  return string.match(name, '^(.*):%d+$')
end

-- Return the name of the first revoked set that a deletion has to work on, or nil. These are its own, and those that
-- earlier deletions of the owner have left, whatever became of them: the places up to that of the deletion's own last
-- one. Forget sets that are empty. A set of another deletion that cannot be read is left to the check.
-- only_own: true to leave out those of other deletions.
local function current_revoked_set(prefix, job_key, job_id, letter, owner, only_own)
  local last = stored_number(redis.call('HGET', job_key, 'last_revoked_set')) or 0
  local list, passed = prefix .. 'revocations:' .. letter .. ':' .. owner, 0
  while true do
    local names = redis.call('ZRANGEBYSCORE', list, '-inf', whole(last), 'LIMIT', passed, 100)
    for _, name in ipairs(names) do
      local is_own = job_of_revoked_set(name) == job_id
      local size = redis.pcall('ZCARD', prefix .. 'revoked:' .. name)
      if size == 0 then
        forget_revoked_set(prefix, letter, owner, name)
      elseif is_own or not only_own and not wrong_type(size) then
        return name
      else
        passed = passed + 1
      end
    end
    if #names < 100 then
      return nil
    end
  end
end

-- Return the key of the record in which to count what is reclaimed from a revoked set: that of the deletion which
-- revoked it, if that one is at work too and will answer for it; else that of the deletion which reclaims it.
local function record_of_revoked_set(prefix, name, job_key)
  local revoking_key = prefix .. 'job:' .. job_of_revoked_set(name)
  return is_active(redis.call('HGET', revoking_key, 'state')) and revoking_key or job_key
end

-- Return how many sessions lie in revoked sets that a new deletion of the owner will reclaim and count.
local function count_left_revoked(prefix, job_key, letter, owner)
  local count = 0
  for _, name in ipairs(redis.call('ZRANGE', prefix .. 'revocations:' .. letter .. ':' .. owner, 0, 999)) do
    local size = redis.pcall('ZCARD', prefix .. 'revoked:' .. name)
    if not wrong_type(size) and record_of_revoked_set(prefix, name, job_key) == job_key then
      count = count + size
    end
  end
  return count
end

-- Remove sessions that are being reclaimed from the revoked sets of deletions of the other kind, so that these
-- neither count nor restore them. members_by_owner: session ids by the other owner.
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

-- Take an index away into a revoked set of a deletion, which revokes every session in the index, and return when
-- the last of them expires, milliseconds. The set is noted by kind, for counts, and by owner, for later deletions
-- and for others that reclaim the same sessions.
local function revoke(prefix, index, job_key, job_id, letter, owner, cutoff_us)
  local now = math.floor(cutoff_us / 1000)
  local all, list = prefix .. 'revocations:' .. letter, prefix .. 'revocations:' .. letter .. ':' .. owner
  redis.call('HSET', job_key, 'cutoff', whole(cutoff_us))
  redis.call('HDEL', job_key, 'drained')
  local place = stored_number(redis.call('ZRANGE', list, -1, -1, 'WITHSCORES')[2]) or 0
  redis.call('HSET', job_key, 'last_revoked_set', whole(place))
  if redis.call('EXISTS', index) == 0 then
    return now
  end
  -- Once more only if the list was lost.
  repeat
    place = place + 1
  until redis.call('EXISTS', prefix .. 'revoked:' .. job_id .. ':' .. whole(place)) == 0
  redis.call('HSET', job_key, 'last_revoked_set', whole(place))
  local name = job_id .. ':' .. whole(place)
  redis.call('RENAME', index, prefix .. 'revoked:' .. name)
  local void = now + redis.call('PTTL', prefix .. 'revoked:' .. name)
  redis.call('ZREMRANGEBYSCORE', all, '-inf', whole(now))
  redis.call('ZADD', all, whole(void), name)
  redis.call('ZADD', list, whole(place), name)
  keep_until(all, void, now)
  keep_until(list, void, now)
  return void
end

-- Opening a job.

-- Count the selected members of an index. 'all': every member; 'due': those with a past score; 'live': those
-- with a score to come; 'one': a single session.
local function count_work(index, members, now)
  if members == 'all' then
    return redis.call('ZCARD', index)
  elseif members == 'due' then
    return redis.call('ZCOUNT', index, '-inf', whole(now))
  elseif members == 'live' then
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

local function can_be_joined(state)
  return state == 'scheduled' or state == 'queued' or state == 'running' or state == 'paused'
end

-- Note which job a request joined, so that the request can be repeated, however late.
local function note_joined(request_key, kind, params, job_id, added, until_ms, now)
  redis.call('HSET', request_key, 'kind', kind, 'params', params, 'joined', job_id, 'added', added)
  keep_until(request_key, until_ms, now)
end

-- Let the sooner of two requests for the same work decide when the job begins, and return that moment.
local function begin_sooner(job_key, jobs_key, job_id, due, silence_ms)
  local found = redis.call('HMGET', job_key, 'state', 'due')
  local sooner = math.min(due, tonumber(found[2]) or due)
  redis.call('HSET', job_key, 'due', whole(sooner))
  if found[1] == 'scheduled' then
    redis.call('ZADD', jobs_key, whole(sooner - silence_ms), job_id)
  end
  return sooner
end

-- Note a job by the moment of its request. Records expire, so each new job looks at ten other entries and drops
-- those whose record is gone: in the long run few are left.
local function note_in_history(prefix, history, job_id, now)
  local place = now % math.max(1, redis.call('ZCARD', history))
  for _, other in ipairs(redis.call('ZRANGE', history, place, place + 9)) do
    if redis.call('EXISTS', prefix .. 'job:' .. other) == 0 then
      redis.call('ZREM', history, other)
    end
  end
  redis.call('ZADD', history, whole(now), job_id)
end
