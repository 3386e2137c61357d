-- Chunks that checkpoints of a session share (see manager/chunks/recipe.py) are stored in the hash of its
-- checkpoints. The field of a chunk is a byte that no id has, and the chunk's name. The field of that byte
-- alone counts the times that recipes name each chunk, JSON.
local COUNTS = '\255'

-- Most chunks of one checkpoint, and longest recipe in bytes: the same as in manager/chunks/recipe.py.
local MOST_CHUNKS = 1000
local LONGEST_RECIPE = 16384

-- Up to this number, Lua's own conversion to text is exact, and several times as fast as string.format.
local MOST_SHORT = 1e14

-- A range of chunks. A stream has ten characters: with `%x+`, 16 KB of hexadecimal digits took 1 s to refuse.
local RANGE = '(%x%x%x%x%x%x%x%x%x%x):(%d+)%-?(%d*)'

-- Most digits of a number. Beyond 2^53, a number and its successor are the same to Lua, and a loop never ends.
local MOST_DIGITS = 15

-- Return the first and last number of each range in a list of chunks, in turn, by stream.
local function ranges_by_stream(list)
  local ranges = {}
  for stream, first, last in string.gmatch(list, RANGE) do
    local of_stream = ranges[stream] or {}
    of_stream[#of_stream + 1] = tonumber(first)
    of_stream[#of_stream + 1] = tonumber(last == '' and first or last)
    ranges[stream] = of_stream
  end
  return ranges
end

local function is_within(ranges, number)
  for i = 1, #ranges, 2 do
    if ranges[i] <= number and number <= ranges[i + 1] then
      return true
    end
  end
  return false
end

-- Return the names of the chunks of a stored checkpoint, as often as it names each, without those in `known`
-- (ranges by stream); nil if the checkpoint is no recipe, or an unreadable one.
local function chunks_of(stored, known)
  local head = stored and string.match(stored, '^p([^\n]*)\n')
  if not head then
    return nil
  end
  local names, count = {}, 0
  for stream, first, last in string.gmatch(head, RANGE) do
    if #first > MOST_DIGITS or #last > MOST_DIGITS then
      return nil
    end
    first, last = tonumber(first), tonumber(last == '' and first or last)
    count = count + math.max(0, last - first + 1)
    if count > MOST_CHUNKS then
      return nil
    end
    local prefix, ranges, is_short = stream .. ':', known and known[stream], last < MOST_SHORT
    for number = first, last do
      if not (ranges and is_within(ranges, number)) then
        names[#names + 1] = prefix .. (is_short and number or string.format('%.0f', number))
      end
    end
  end
  return names
end

-- Return the counts of each chunk; nil if there is no chunk, or the counts cannot be read.
local function read_counts(key)
  local stored = redis.call('HGET', key, COUNTS)
  local readable, counts = pcall(cjson.decode, stored or '')
  return readable and type(counts) == 'table' and counts or nil
end

local function write_counts(key, counts)
  if next(counts) then
    redis.call('HSET', key, COUNTS, cjson.encode(counts))
  else
    redis.call('HDEL', key, COUNTS)
  end
end

-- Store the new chunks of a recipe, and count all its chunks. Return false, with nothing done, if a chunk
-- that is not new is missing, or a new one exists. fresh: stored values of new chunks by name.
local function hold_chunks(key, recipe, fresh)
  local counts, names = read_counts(key), chunks_of(recipe)
  if not names or not counts and redis.call('HEXISTS', key, COUNTS) == 1 then
    return false
  end
  counts = counts or {}
  for _, name in ipairs(names) do
    if (fresh[name] == nil) == (counts[name] == nil) then
      return false
    end
  end
  local fields = {}
  for _, name in ipairs(names) do
    if fresh[name] and not counts[name] then
      fields[#fields + 1] = COUNTS .. name
      fields[#fields + 1] = fresh[name]
    end
    counts[name] = (tonumber(counts[name]) or 0) + 1
  end
  fields[#fields + 1] = COUNTS
  fields[#fields + 1] = cjson.encode(counts)
  redis.call('HSET', key, unpack(fields))
  return true
end

-- Return the counts without some checkpoints, and the names of the chunks that nobody needs then; nil if
-- nothing changes. A whole checkpoint may be large, so its length tells it from a recipe.
local function counts_without(key, ids, first, last)
  local counts = read_counts(key)
  if not counts then
    return nil
  end
  local freed, changed = {}, false
  for i = first, last do
    local recipe = redis.call('HSTRLEN', key, ids[i]) <= LONGEST_RECIPE and redis.call('HGET', key, ids[i])
    for _, name in ipairs(chunks_of(recipe) or {}) do
      changed = true
      local left = (tonumber(counts[name]) or 0) - 1
      counts[name] = left > 0 and left or nil
      if left == 0 then
        freed[#freed + 1] = name
      end
    end
  end
  return changed and counts or nil, freed
end

-- Remove some checkpoints, and the chunks that only they need.
local function remove_data(key, ids, first, last)
  local counts, freed = counts_without(key, ids, first, last)
  redis.call('HDEL', key, unpack(ids, first, last))
  if counts then
    for _, name in ipairs(freed) do
      redis.call('HDEL', key, COUNTS .. name)
    end
    write_counts(key, counts)
  end
end

-- Return the stored chunks of a checkpoint in their order, false for one that is gone, and their size in
-- bytes. Leave out chunks in `sent` (a set, to which the function adds) and in `known` (ranges by stream).
local function read_chunks(key, stored, sent, known)
  local fields, bytes = {}, 0
  for _, name in ipairs(chunks_of(stored, known) or {}) do
    if not sent[name] then
      sent[name] = true
      fields[#fields + 1] = COUNTS .. name
    end
  end
  if #fields == 0 then
    return {}, 0
  end
  local chunks = redis.call('HMGET', key, unpack(fields))
  for _, chunk in ipairs(chunks) do
    bytes = bytes + (chunk and #chunk or 0)
  end
  return chunks, bytes
end
