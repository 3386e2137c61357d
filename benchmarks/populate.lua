-- Writes sessions as the manager writes them, many in one call: for benchmarks only.
-- ARGV[1] prefix of the partition
-- ARGV[2] agent id
-- ARGV[3] moment of expiry of the first session, milliseconds; each further one is 1 ms later
-- ARGV[4] encoded data of a checkpoint
-- ARGV[5] checkpoints in each session
-- ARGV[6] '1' to write the sessions' own keys, '0' for the indexes only, as after expiry
-- ARGV[7] how long indexes live, milliseconds
-- ARGV[8] and on: session id and user id in turn, the sessions of a user together
-- Reply: how many sessions were written
local prefix, agent, expires, data = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local checkpoints, own_keys, index_life_ms = tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7]
local first, call, format = 8, redis.call, string.format

local created = (expires - 3600000) * 1000
local created_text = format('%.0f', created)

local function write_own_keys(id, user, moment)
  local session_key = prefix .. 's:' .. id
  call('HSET', session_key, 'user', user, 'agent', agent, 'created', created_text, 'expires', moment,
    'size', 14, 'm:tier', 'j"premium"')
  call('PEXPIREAT', session_key, moment)
  if checkpoints == 0 then
    return
  end
  local saved, ordered = {}, {}
  for n = 1, checkpoints do
    local checkpoint_id = 'ckpt_' .. n .. string.sub(id, -25)
    saved[2 * n - 1], saved[2 * n] = checkpoint_id, data
    ordered[2 * n - 1], ordered[2 * n] = format('%.0f', created + n), checkpoint_id
  end
  call('HSET', prefix .. 'c:' .. id, unpack(saved))
  call('ZADD', prefix .. 'o:' .. id, unpack(ordered))
  call('PEXPIREAT', prefix .. 'c:' .. id, moment)
  call('PEXPIREAT', prefix .. 'o:' .. id, moment)
end

local function write_index(key, entries)
  call('ZADD', key, unpack(entries))
  call('PEXPIRE', key, index_life_ms)
end

local of_user, of_agent, all = {}, {}, {}
for i = first, #ARGV, 2 do
  local id, user = ARGV[i], ARGV[i + 1]
  local moment = format('%.0f', expires)
  if own_keys then
    write_own_keys(id, user, moment)
  end
  local n = #all
  of_user[#of_user + 1], of_user[#of_user + 2] = moment, id
  of_agent[n + 1], of_agent[n + 2] = moment, id
  all[n + 1], all[n + 2] = moment, id .. ' ' .. #user .. ' ' .. user .. agent
  if ARGV[i + 3] ~= user then
    write_index(prefix .. 'u:' .. user, of_user)
    of_user = {}
  end
  expires = expires + 1
end
write_index(prefix .. 'a:' .. agent, of_agent)
write_index(prefix .. 'x', all)
return (#ARGV - first + 1) / 2
