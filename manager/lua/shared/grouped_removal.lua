-- Collects members by sorted set, so that each set is called once for all of them.
local function note_removal(groups, key, member)
  local group = groups[key]
  if not group then
    group = {}
    groups[key] = group
  end
  group[#group + 1] = member
end

local function remove_noted(groups)
  for key, members in pairs(groups) do
    redis.call('ZREM', key, unpack(members))
  end
end
