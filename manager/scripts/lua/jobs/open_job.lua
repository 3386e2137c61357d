-- Opens a job in its home partition. A deletion takes its index away in the same step, which revokes every session
-- in it. If a job with the same work is open, the request joins that job; so it does if a deletion was cancelled
-- or has failed, which then goes on. Repeated with the same request, it changes nothing.
-- Uses: base jobs
-- KEYS[1] hash of the request: the record of the job, or a note of which one it joined
-- KEYS[2] sorted set: open jobs
-- KEYS[3] string: id of the open job with this kind and these parameters
-- KEYS[4] sorted set: the index that the job takes away or works through
-- KEYS[5] sorted set: jobs by when they were asked for
-- ARGV[1] prefix of the partition
-- ARGV[2] id of the request
-- ARGV[3] kind of the job
-- ARGV[4] parameters of the job, JSON
-- ARGV[5] members of the index that the job works on: 'all', 'due', 'live' or 'one'
-- ARGV[6] letter of the index that a deletion takes away ('u' or 'a'), else ''
-- ARGV[7] its owner, or ''
-- ARGV[8] 1 to join another job, 0 to work beside it
-- ARGV[9] 1 if parts in other partitions have to be written next, else 0
-- ARGV[10] grace, milliseconds
-- ARGV[11] how long a job's record is kept, milliseconds
-- ARGV[12] silence after which a job counts as stalled, milliseconds
-- ARGV[13] most that may be affected here, or ''
-- ARGV[14] and on: further fields of the record and their values in turn
-- Reply: {'OPEN', what this request added here, its number if parts have to be written, else 0, job id, {field, value, ...}} | {'CONFLICT'} if the request's id is that of other work | {'UNDOING', job id} | {'TOO_MANY', how many}
local request_key, jobs_key, open_key, index, history = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local prefix, request_id, kind, params, members = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local letter, owner, join, others, grace_ms = ARGV[6], ARGV[7], ARGV[8] == '1', ARGV[9] == '1', tonumber(ARGV[10])
local retention_ms, silence_ms, max_affected, first_field = tonumber(ARGV[11]), tonumber(ARGV[12]), ARGV[13], 14

local function opened(job_id, job_key, added, number)
  return { 'OPEN', added, number, job_id, redis.call('HGETALL', job_key) }
end

local known = redis.call('HMGET', request_key, 'kind', 'params', 'joined', 'added')
local known_id = known[3] or request_id
local found = redis.call('HMGET', prefix .. 'job:' .. known_id, 'kind', 'opening', 'joins')
if known[1] and found[1] then
  if known[1] ~= kind or known[2] ~= params then
    return { 'CONFLICT' }
  end
  return opened(known_id, prefix .. 'job:' .. known_id, tonumber(known[4]),
    found[2] == request_id and tonumber(found[3]) or 0)
end
local moment_us = now_us()
local now = math.floor(moment_us / 1000)
local open = redis.call('GET', open_key)
local open_fields = open and redis.call('HMGET', prefix .. 'job:' .. open, 'state', 'is_undo') or {}
local state = open_fields[1]
if state == 'undoing' or state == 'failed' and open_fields[2] then
  return { 'UNDOING', open }
end
-- A deletion that was stopped goes on: what it has revoked is to be deleted too.
local reopens = letter ~= '' and (state == 'cancelled' or state == 'failed')
local joins = join and (can_be_joined(state) or reopens)
local added = count_work(index, members, now)
if max_affected ~= '' then
  local affected = members == 'all' and count_work(index, 'live', now) or added
  if affected > tonumber(max_affected) then
    return { 'TOO_MANY', affected }
  end
end

work_though_full(jobs_key)
-- At most a note of a job whose record has expired.
redis.call('UNLINK', request_key)
local job_id, job_key, due = request_id, request_key, now + grace_ms
if joins then
  job_id, job_key = open, prefix .. 'job:' .. open
end
if letter ~= '' and not joins then
  added = added + count_left_revoked(prefix, job_key, letter, owner)
  -- What the earlier deletion has revoked is reclaimed by this one too, so it cannot be undone any more. A later
  -- request that waits has to be undoable, so it does not join the earlier deletion.
  if state and state ~= 'done' and state ~= 'undone' then
    redis.call('HSETNX', prefix .. 'job:' .. open, 'started', whole(now))
    if not is_active(state) then
      redis.call('UNLINK', open_key)
    end
  end
end
if joins then
  added = letter == '' and 0 or added
  note_joined(request_key, kind, params, job_id, added, due + retention_ms, now)
  if reopens and grace_ms > 0 then
    redis.call('HSET', job_key, 'due', whole(due))
  else
    due = begin_sooner(job_key, jobs_key, job_id, due, silence_ms)
  end
  if letter == '' then
    return opened(job_id, job_key, 0, 0)
  end
  if reopens then
    reopen_job(job_key, jobs_key, job_id, silence_ms, now)
  end
else
  write_part(job_key, kind, params, now)
  redis.call('HSET', job_key, 'state', grace_ms > 0 and 'scheduled' or 'queued', 'requested', whole(now),
    'due', whole(due), 'added', added, 'joins', 0)
  set_fields(job_key, first_field, #ARGV)
  -- With parts to be written, the rescue of stalled jobs looks soon if they are.
  redis.call('ZADD', jobs_key, whole(grace_ms > 0 and not others and due - silence_ms or now), job_id)
  note_in_history(prefix, history, job_id, now)
end
redis.call('HINCRBY', job_key, 'total', added)
local number = redis.call('HINCRBY', job_key, 'joins', 1)
if others then
  redis.call('HSET', job_key, 'opening', request_id)
end
local void = due
if letter ~= '' then
  void = math.max(due, revoke(prefix, index, job_key, job_id, letter, owner, moment_us))
end
for _, key in ipairs({ job_key, jobs_key, history }) do
  keep_until(key, void + retention_ms, now)
end
if join then
  redis.call('SET', open_key, job_id, 'KEEPTTL')
  keep_until(open_key, void + retention_ms, now)
end
return opened(job_id, job_key, added, others and number or 0)
