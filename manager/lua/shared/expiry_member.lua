-- The expiry index carries the user and the agent in its members, because the sweep has to clean
-- their indexes when the session's own hash is gone already.
local function expiry_member(session_id, user, agent)
  return session_id .. ' ' .. #user .. ' ' .. user .. agent
end

-- Session id, user and agent; nil where somebody has written something else.
local function split_expiry_member(member)
  local session_id, size, start = string.match(member, '^(%S+) (%d+) ()')
  if not session_id then
    return nil
  end
  local agent_start = start + tonumber(size)
  return session_id, string.sub(member, start, agent_start - 1), string.sub(member, agent_start)
end
