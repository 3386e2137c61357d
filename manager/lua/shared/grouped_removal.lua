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
