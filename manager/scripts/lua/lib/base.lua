-- The one clock: the server's. Numbers go into commands through `whole`, since Lua's own
-- conversion to text keeps only 14 digits.
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function now_ms()
  return math.floor(now_us() / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end

-- What a script answers where it needs a key that cannot be read. The caller gets an error with its name.
local function damaged(key)
  return redis.error_reply('CORRUPT ' .. key)
end

-- Whether a reply of redis.pcall says that the key is of another type. Any other error ends the script.
local function wrong_type(reply)
  if type(reply) ~= 'table' or not reply.err then
    return false
  end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then
    return true
  end
  return error(reply.err, 0)
end

-- A whole number as it lies in a hash; nil where there is none, or something else.
local function stored_number(text)
  return text and #text <= 16 and string.match(text, '^%d+$') and tonumber(text) or nil
end

-- What a call answered, kept for a while under a key of the call's own. Sent again because its answer
-- was lost, a deletion would find nothing, and a change would undo what others changed meanwhile.

-- The answer of an earlier sending of this call; nil where there was none.
local function earlier_answer(answer_key)
  return tonumber(redis.call('GET', answer_key) or nil)
end

-- The answer, noted if this call has changed anything.
local function answer_with(answer_key, count, kept_ms)
  if count > 0 then
    redis.call('SET', answer_key, count, 'PX', kept_ms)
  end
  return count
end

-- Writes metadata fields from ARGV in portions, since Lua unpacks at most some 8,000 values at once.
local function set_fields(session_key, first, last)
  for start = first, last, 1000 do
    redis.call('HSET', session_key, unpack(ARGV, start, math.min(start + 999, last)))
  end
end

-- A server whose memory is full refuses what may need more, but not to a script that has written
-- already. Bulk work is what frees memory then, so each of its scripts first writes nothing.
local function work_though_full(sorted_set)
  redis.call('ZREM', sorted_set, '')
end

-- Members of a sorted set behind a cursor (score and member of the last one seen), with scores.
-- If that member has moved or gone, the page starts again at its score: a member can then come
-- twice, but none is left out.
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

-- Memory of a key, bytes, as the server estimates it; 0 where it does not (fakeredis, or no right to ask).
local function memory_of(key)
  local bytes = redis.pcall('MEMORY', 'USAGE', key)
  return type(bytes) == 'number' and bytes or 0
end

-- What an error says: a table or a text, depending on the server.
local function told_by(failure)
  return type(failure) == 'table' and failure.err or failure
end

-- Does something with one session of many; false (and the error) where a key of it is of another type, so
-- that the others are worked on all the same. Any other error ends the script.
local function attempt(work, ...)
  local results = { pcall(work, ...) }
  if not results[1] and not string.find(told_by(results[2]), 'WRONGTYPE', 1, true) then
    error(results[2], 0)
  end
  return unpack(results, 1, 4)
end

-- Has a key live until that moment at least.
-- (PEXPIREAT ... GT would do, but Redis 6.2 does not know it.)
local function keep_until(key, moment_ms, now)
  if redis.call('PTTL', key) < moment_ms - now then
    redis.call('PEXPIREAT', key, whole(moment_ms))
  end
end

-- Puts a session into one index and lets the index live as long as its latest member.
local function index_session(key, member, expires, expires_text, lingers_ms, now)
  redis.call('ZADD', key, expires_text, member)
  keep_until(key, expires + lingers_ms, now)
end

-- Collects members by owner or by sorted set, so that each set is called once for all of them.
local function note_member(groups, name, member)
  local group = groups[name]
  if not group then
    group = {}
    groups[name] = group
  end
  group[#group + 1] = member
end

-- Removes the members noted, each from the set of its owner; how many were there. In a key of another
-- type there are none, and that must not keep the work from the others.
local function remove_noted(groups, prefix)
  local removed = 0
  for name, members in pairs(groups) do
    local reply = redis.pcall('ZREM', prefix .. name, unpack(members))
    removed = removed + (wrong_type(reply) and 0 or reply)
  end
  return removed
end
