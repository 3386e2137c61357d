-- Counts what a job would work on in this partition.
-- Uses: base jobs
-- KEYS[1] sorted set: the index that the job would take away or work through
-- ARGV[1] what the job works on: 'all', 'due' or 'live'
-- Reply: how many sessions
local index = KEYS[1]
local selection = ARGV[1]

return count_work(index, selection, now_ms())
