-- Adds a checkpoint to a session, if that is live. Repeated with the same id, it changes nothing.
-- Creation never goes back: a checkpoint is at least 1 µs younger than the one before it.
-- With a bound, the oldest beyond it go in the same step; many of them over several saves.
-- 1; 0 where the session is not live; 'MISSING' where a piece is not there; or what cannot be read.
-- keys: session, checkpoints, order. fresh: stored values of new pieces by name. bound: most that are not pinned, or nil.
local function save_checkpoint(prefix, keys, session_id, checkpoint_id, data, fresh, pin, bound, limit, created)
  local session, damage = live_session(prefix, keys.session, session_id, math.floor(created / 1000))
  if not session then
    return damage or 0
  end
  if pin and not can_pin(keys.session) then
    return damaged(keys.session)
  end
  -- Read before anything is written: should it be of another type, nothing is.
  local newest = redis.call('ZREVRANGE', keys.order, 0, 0, 'WITHSCORES')
  if string.sub(data, 1, 1) == 'p' then
    if redis.call('HEXISTS', keys.checkpoints, checkpoint_id) == 1 then
      return 1
    end
    if not hold_pieces(keys.checkpoints, data, fresh) then
      return 'MISSING'
    end
  end
  if redis.call('HSETNX', keys.checkpoints, checkpoint_id, data) == 0 then
    return 1
  end
  redis.call('PEXPIREAT', keys.checkpoints, whole(session.expires))
  if newest[2] then
    created = math.max(created, tonumber(newest[2]) + 1)
  end
  redis.call('ZADD', keys.order, whole(created), checkpoint_id)
  if not newest[2] then
    -- From then on, whatever changes the session's expiry changes the key's as well.
    redis.call('PEXPIREAT', keys.order, whole(session.expires))
  end
  if pin then
    set_pin(keys.session, checkpoint_id)
  end
  if bound then
    keep_bound(prefix, session_id, bound, limit)
  end
  return 1
end
