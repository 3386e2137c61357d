-- Closes a job whose work is done to further requests, unless one has joined meanwhile, and answers with its
-- record.
-- Uses: base jobs
-- KEYS[1] hash of the job in its home
-- KEYS[2] sorted set: open jobs
-- KEYS[3] string: id of the open job with this kind and these parameters
-- ARGV[1] job id
-- ARGV[2] how many requests the job had taken when its work was looked at
-- Reply: {'CLOSED' | 'OPEN' if there is more to do or the job is not to go on, {field, value, ...}}
local job_key, jobs_key, open_key = KEYS[1], KEYS[2], KEYS[3]
local job_id, joins = ARGV[1], ARGV[2]

local found = redis.call('HMGET', job_key, 'state', 'joins', 'opening')
if not is_active(found[1]) or found[2] ~= joins or found[3] then
  return { 'OPEN', redis.call('HGETALL', job_key) }
end
work_though_full(jobs_key)
if redis.call('GET', open_key) == job_id then
  redis.call('UNLINK', open_key)
end
return { 'CLOSED', redis.call('HGETALL', job_key) }
