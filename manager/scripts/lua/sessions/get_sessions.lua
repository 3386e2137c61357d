-- Reads some sessions of one partition, each if it is live.
-- Uses: base sessions
-- KEYS[1] and on: hash of each session
-- ARGV[1] prefix of the partition
-- ARGV[2] bytes after which it ends
-- ARGV[3] and on: id of each session
-- Reply: {now in milliseconds, for each session {field, value, ...}, of a damaged one {'CORRUPT' and the key}, of one that is not live nil, ...}; fewer where it ended before
local prefix, max_bytes, first_field = ARGV[1], tonumber(ARGV[2]), 3

local now = now_ms()
local found = live_page(prefix, KEYS, { unpack(ARGV, first_field) }, now, max_bytes)
table.insert(found, 1, now)
return found
