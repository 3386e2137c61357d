-- Counts the sessions that a job would work on in this partition.
-- Uses: base jobs
-- KEYS[1] sorted set: the index that the job would take away or work through
-- ARGV[1] members of the index to count: 'all', 'due' or 'live'
-- Reply: how many sessions
local index = KEYS[1]
local members = ARGV[1]

return count_work(index, members, now_ms())
