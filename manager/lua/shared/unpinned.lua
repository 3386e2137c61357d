-- How many checkpoints are pinned. Where that was damaged, at most so many as there are fields and values: too many
-- only keeps more.
local function count_pins(prefix, session_id)
  local session_key = prefix .. 's:' .. session_id
  local pins = redis.call('HGET', session_key, 'pins')
  return pins and (stored_number(pins) or #redis.call('HGETALL', session_key)) or 0
end

-- Ids that are not pinned among the `among` oldest checkpoints of a session, oldest first, at most
-- `limit`, and whether there are more. It looks at no more checkpoints than `limit` and the number of
-- pins: among so many, `limit` are not pinned. (Should the number be too low all the same, there are
-- no more, or a job would look for them for ever.)
local function oldest_unpinned(prefix, session_id, among, limit)
  if among <= 0 then
    return {}, false
  end
  local pins = count_pins(prefix, session_id)
  local looked_at = math.min(among, limit + pins)
  local ids = redis.call('ZRANGE', prefix .. 'o:' .. session_id, 0, looked_at - 1)
  if pins == 0 then
    return ids, looked_at < among
  end
  local unpinned = {}
  for first = 1, #ids, 1000 do
    local fields = {}
    for i = first, math.min(first + 999, #ids) do
      fields[#fields + 1] = 'p:' .. ids[i]
    end
    local pinned = redis.call('HMGET', prefix .. 's:' .. session_id, unpack(fields))
    for i = 1, #fields do
      if not pinned[i] then
        if #unpinned == limit then
          return unpinned, true
        end
        unpinned[#unpinned + 1] = ids[first + i - 1]
      end
    end
  end
  return unpinned, looked_at < among and #unpinned == limit
end

-- Removes checkpoints that are not pinned, in portions, since Lua unpacks at most some 8,000 values.
local function remove_checkpoints(prefix, session_id, ids)
  for first = 1, #ids, 1000 do
    local last = math.min(first + 999, #ids)
    remove_data(prefix .. 'c:' .. session_id, ids, first, last)
    redis.call('ZREM', prefix .. 'o:' .. session_id, unpack(ids, first, last))
  end
end
