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
