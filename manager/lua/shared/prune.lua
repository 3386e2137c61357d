-- The texts of a JSON list, to look them up.
local function set_of(json_list)
  local set = {}
  for _, text in ipairs(cjson.decode(json_list)) do
    set[text] = true
  end
  return set
end

local function oldest_to_keep(max_age_us, now)
  return max_age_us == '' and '' or whole(now - tonumber(max_age_us))
end

-- Among how many of the oldest checkpoints of a session are those that a policy no longer keeps.
-- keep_last: '' or how many to keep; min_created_us: '' or the oldest creation to keep.
-- The newest checkpoint is always kept.
local function reach_of_policy(prefix, session_id, keep_last, min_created_us)
  local order = prefix .. 'o:' .. session_id
  local size = redis.call('ZCARD', order)
  local among = 0
  if keep_last ~= '' then
    among = size - tonumber(keep_last)
  end
  if min_created_us ~= '' then
    among = math.max(among, redis.call('ZCOUNT', order, '-inf', '(' .. min_created_us))
  end
  return math.min(among, size - 1)
end

-- Ids of the checkpoints of one session that a policy no longer keeps, oldest first, at most `limit`,
-- and whether more are due. What is pinned is kept.
local function due_checkpoints(prefix, session_id, keep_last, min_created_us, limit)
  local among = reach_of_policy(prefix, session_id, keep_last, min_created_us)
  return oldest_unpinned(prefix, session_id, among, limit)
end

-- Removes what is due, at most `limit`. Returns how many were removed and whether more are due.
local function prune_session(prefix, session_id, keep_last, min_created_us, limit)
  local ids, more = due_checkpoints(prefix, session_id, keep_last, min_created_us, limit)
  remove_checkpoints(prefix, session_id, ids)
  return #ids, more
end
