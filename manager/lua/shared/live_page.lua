-- Takes out of `found` those at these places that an index does not list.
local function keep_listed(found, ids, index, places)
  local asked = {}
  for i, place in ipairs(places) do
    asked[i] = ids[place]
  end
  local scores = redis.pcall('ZMSCORE', index, unpack(asked))
  local damage = wrong_type(scores) and { damaged(index).err }
  for i, place in ipairs(places) do
    if damage then
      found[place] = found[place] and damage
    elseif not scores[i] then
      found[place] = false
    end
  end
end

local function keep_listed_by_all(found, ids, kind, places_by_owner)
  for owner, places in pairs(places_by_owner) do
    if places then
      keep_listed(found, ids, kind .. owner, places)
    end
  end
end

-- Notes which index has to list the session at a place. A known one is not asked: false in its place.
local function note_place(places_by_owner, kind, owner, place, known)
  local places = places_by_owner[owner]
  if places == nil then
    places = kind .. owner ~= known and {}
    places_by_owner[owner] = places
  end
  if places then
    places[#places + 1] = place
  end
end

-- What `live_fields` says of each session, until that is max_bytes. Each index is asked once for all sessions
-- that it should list, which takes less time than for each. known: an index that lists them all, or nil.
local function live_page(prefix, keys, ids, now, max_bytes, known)
  local found, bytes = {}, 0
  local by_user, by_agent, users, agents = prefix .. 'u:', prefix .. 'a:', {}, {}
  for i, session_key in ipairs(keys) do
    local fields, user, agent, size = read_fields(session_key, now)
    found[i] = fields
    if user then
      note_place(users, by_user, user, i, known)
      note_place(agents, by_agent, agent, i, known)
      bytes = bytes + size
      if bytes >= max_bytes then
        break
      end
    end
  end
  keep_listed_by_all(found, ids, by_user, users)
  keep_listed_by_all(found, ids, by_agent, agents)
  return found
end
