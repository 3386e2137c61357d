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
