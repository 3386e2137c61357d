-- The one clock is the server's. Numbers go into commands through `whole`, since Lua's own conversion to text
-- keeps only 14 digits.
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end

-- The reply of a script that needs a key that cannot be read. The caller gets an error that names the key.
local function damaged(key)
  return redis.error_reply('CORRUPT ' .. key)
end

-- Return true if a reply of redis.pcall says that the key is of another type. Any other error ends the
-- script.
local function wrong_type(reply)
  if type(reply) ~= 'table' or not reply.err then
    return false
  end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then
    return true
  end
  return error(reply.err, 0)
end

-- Return a whole number as stored in a hash; nil if there is none, or the text is something else.
local function stored_number(text)
  return text and #text <= 16 and not string.find(text, '%D') and tonumber(text) or nil
end

-- The answer of a call is kept for a while under a key of the call's own. If a call were carried out again
-- because its reply was lost, a deletion would find nothing, and a change would undo the changes of others
-- since.

-- Return the answer to an earlier sending of this call, or nil.
local function earlier_answer(answer_key)
  return tonumber(redis.call('GET', answer_key) or nil)
end

-- Return the answer of a call. Keep it if the call has changed anything.
local function answer_with(answer_key, count, kept_ms)
  if count > 0 then
    redis.call('SET', answer_key, count, 'PX', kept_ms)
  end
  return count
end

-- Write metadata fields from ARGV in portions, since Lua unpacks at most some 8,000 values at once.
local function set_fields(session_key, first, last)
  for start = first, last, 1000 do
    redis.call('HSET', session_key, unpack(ARGV, start, math.min(start + 999, last)))
  end
end

-- Let a script write although the server's memory is full. Such a server refuses commands that may need more
-- memory, except in a script that has written already. Bulk work frees memory, so its scripts begin with a
-- write without effect.
local function work_though_full(sorted_set)
  redis.call('ZREM', sorted_set, '')
end

-- Return members of a sorted set after a cursor (score and member of the last one seen), with scores. If that
-- member has moved or is gone, the page starts again at its score: a member can then come twice, but none is
-- left out.
local function page(key, last_score, last_member, limit)
  if last_member ~= '' then
    local score = redis.call('ZSCORE', key, last_member)
    if score and tonumber(score) == tonumber(last_score) then
      local rank = redis.call('ZRANK', key, last_member)
      return redis.call('ZRANGE', key, rank + 1, rank + limit, 'WITHSCORES')
    end
  end
  return redis.call('ZRANGEBYSCORE', key, last_score, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
end

-- Return the memory of a key, bytes, as the server estimates it; 0 if the server does not (fakeredis, or no
-- right to ask).
local function memory_of(key)
  local bytes = redis.pcall('MEMORY', 'USAGE', key)
  return type(bytes) == 'number' and bytes or 0
end

-- Return the message of an error (a table or a text, depending on the server) if a key is of another type. Any other
-- error ends the script.
local function wrong_type_told_by(failure)
  local message = type(failure) == 'table' and failure.err or failure
  if not string.find(message, 'WRONGTYPE', 1, true) then
    error(failure, 0)
  end
  return message
end

-- Call a function for one session of many. Return false and the message if a key of the session is of another type,
-- so that the script goes on with the others. Any other error ends the script.
local function attempt(work, ...)
  local results = { pcall(work, ...) }
  if not results[1] then
    return false, wrong_type_told_by(results[2])
  end
  return unpack(results, 1, 4)
end

-- Let a key live at least until a moment. (PEXPIREAT ... GT would do the same, but Redis 6.2 does not know
-- it.)
local function keep_until(key, moment_ms, now)
  if redis.call('PTTL', key) < moment_ms - now then
    redis.call('PEXPIREAT', key, whole(moment_ms))
  end
end

-- Add a session to an index, and let the index live as long as its latest member.
local function index_session(key, member, expires, expires_text, lingers_ms, now)
  redis.call('ZADD', key, expires_text, member)
  keep_until(key, expires + lingers_ms, now)
end

-- Collect members by owner or by sorted set, so that one command serves all members of a set.
local function note_member(groups, name, member)
  local group = groups[name]
  if not group then
    group = {}
    groups[name] = group
  end
  group[#group + 1] = member
end

-- Remove the collected members, each from the set of its owner. Return the number of members removed. A key
-- of another type has none, and must not stop the work on the others.
local function remove_noted(groups, prefix)
  local removed = 0
  for name, members in pairs(groups) do
    local reply = redis.pcall('ZREM', prefix .. name, unpack(members))
    removed = removed + (wrong_type(reply) and 0 or reply)
  end
  return removed
end
