-- The trashes of a deletion: one for each time that it took its owner's index away.

local function forget_trash(prefix, letter, owner, name)
  redis.call('ZREM', prefix .. 'detached:' .. letter, name)
  redis.call('ZREM', prefix .. 'detached:' .. letter .. ':' .. owner, name)
end

-- Name of the first trash that still holds something; nil where none does. Those that are empty
-- are forgotten.
local function current_trash(prefix, job_key, job_id, letter, owner)
  local found = redis.call('HMGET', job_key, 'trashes', 'emptied')
  local last, emptied = tonumber(found[1] or 0), tonumber(found[2] or 0)
  while emptied < last do
    local name = job_id .. ':' .. (emptied + 1)
    if redis.call('EXISTS', prefix .. 'trash:' .. name) == 1 then
      return name
    end
    forget_trash(prefix, letter, owner, name)
    emptied = redis.call('HINCRBY', job_key, 'emptied', 1)
  end
  return nil
end

-- Removes sessions that are being reclaimed from the trashes of deletions of the other kind, so
-- that they are neither counted as revoked nor brought back by an undo. groups: members by owner.
local function leave_other_trashes(prefix, letter, members_by_owner)
  if redis.call('EXISTS', prefix .. 'detached:' .. letter) == 0 then
    return
  end
  for owner, members in pairs(members_by_owner) do
    for _, name in ipairs(redis.call('ZRANGE', prefix .. 'detached:' .. letter .. ':' .. owner, 0, -1)) do
      redis.call('ZREM', prefix .. 'trash:' .. name, unpack(members))
    end
  end
end
