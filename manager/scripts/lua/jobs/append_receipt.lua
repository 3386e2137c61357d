-- Appends a receipt to the chain, if it was made for the end that the chain has now. A job has one receipt,
-- whoever writes it and however often.
-- Uses: base
-- KEYS[1] sorted set: receipts, JSON, scored by number
-- KEYS[2] sorted set: ids of jobs with a receipt, scored by its number
-- ARGV[1] job id
-- ARGV[2] number of the last receipt in the chain, or 0
-- ARGV[3] the receipt, JSON
-- ARGV[4] how long receipts are kept, milliseconds
-- ARGV[5] number up to which receipts are older than that and are dropped
-- Reply: 'APPENDED' | 'KNOWN' if the job has a receipt | 'BEHIND' if the chain ends elsewhere
local receipts, jobs = KEYS[1], KEYS[2]
local job_id, last, receipt, retention_ms, drop_to = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

if redis.call('ZSCORE', jobs, job_id) then
  return 'KNOWN'
end
local newest = redis.call('ZREVRANGE', receipts, 0, 0, 'WITHSCORES')
if tonumber(newest[2] or 0) ~= tonumber(last) then
  return 'BEHIND'
end
work_though_full(receipts)
redis.call('ZADD', receipts, last + 1, receipt)
redis.call('ZADD', jobs, last + 1, job_id)
for _, key in ipairs({ receipts, jobs }) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', drop_to)
  redis.call('PEXPIRE', key, retention_ms)
end
return 'APPENDED'
