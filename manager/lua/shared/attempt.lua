-- Does something with one session of many; false where a key of it is of another type, so that the others
-- are worked on all the same. Any other error ends the script.
local function attempt(work, ...)
  local results = { pcall(work, ...) }
  if not results[1] then
    local failure = results[2]
    if not string.find(type(failure) == 'table' and failure.err or failure, 'WRONGTYPE', 1, true) then
      error(failure, 0)
    end
  end
  return unpack(results, 1, 4)
end
