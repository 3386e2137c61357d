-- Reads what a receipt is made from: the end of the chain, its oldest receipts, and the namespace's own secret,
-- which is made if there is none, and lives on while it is read.
-- Uses: base
-- KEYS[1] sorted set: receipts, JSON, scored by number
-- KEYS[2] sorted set: ids of jobs with a receipt, scored by its number
-- KEYS[3] string: the secret
-- ARGV[1] id of the job whose receipt is asked for, or ''
-- ARGV[2] secret to take if there is none, or '' if none is needed
-- ARGV[3] how long the secret is kept from now, milliseconds
-- ARGV[4] most of the oldest receipts to read
-- Reply: {secret, or '', receipt of the job, or '', number of the last receipt, or 0, the last receipt, or '', receipt, number, ...}
local receipts, jobs, secret_key = KEYS[1], KEYS[2], KEYS[3]
local job_id, offered, keep_ms, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local secret = ''
if offered ~= '' then
  secret = redis.call('GET', secret_key)
  if not secret then
    secret = offered
    work_though_full(receipts)
    redis.call('SET', secret_key, secret)
  end
  redis.call('PEXPIRE', secret_key, keep_ms)
end
local number = job_id ~= '' and redis.call('ZSCORE', jobs, job_id)
local own = number and redis.call('ZRANGEBYSCORE', receipts, number, number)[1]
local newest = redis.call('ZREVRANGE', receipts, 0, 0, 'WITHSCORES')
local reply = { secret, own or '', tonumber(newest[2] or 0), newest[1] or '' }
for _, value in ipairs(redis.call('ZRANGE', receipts, 0, limit - 1, 'WITHSCORES')) do
  reply[#reply + 1] = value
end
return reply
