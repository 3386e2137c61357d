-- Removes live sessions with their checkpoints and their places in the indexes.
local function remove_sessions(prefix, expiry_index, sessions)
  local members, packed, unlinked = {}, {}, {}
  for _, session in ipairs(sessions) do
    note_member(members, 'u:' .. session.user, session.id)
    note_member(members, 'a:' .. session.agent, session.id)
    packed[#packed + 1] = expiry_member(session.id, session.user, session.agent)
    for _, kind in ipairs({ 's:', 'c:', 'o:' }) do
      unlinked[#unlinked + 1] = prefix .. kind .. session.id
    end
  end
  -- First the only one that may fail, because it is of another type.
  redis.call('ZREM', expiry_index, unpack(packed))
  remove_noted(members, prefix)
  redis.call('UNLINK', unpack(unlinked))
end
