-- Looks at one page of an index for ghosts: members whose session is gone or another's. Those that are past
-- their time wait for the sweep, which in the index of an owner can find them for as long as the expiry
-- index lives.
-- Uses: base sessions integrity
-- KEYS[1] sorted set: index of a user or an agent, or the expiry index
-- ARGV[1] prefix of the partition
-- ARGV[2] letter of the index: 'u', 'a' or 'x'
-- ARGV[3] its owner, or ''
-- ARGV[4] score of the last member seen, or '' to begin
-- ARGV[5] the last member seen, or ''
-- ARGV[6] most members to look at
-- ARGV[7] 1 to mend what is found, else 0
-- ARGV[8] how long the expiry index outlives its members, milliseconds
-- Reply: {score and member of the last one looked at, or two '' at the end, damage, key, about, 1 where it was mended, else 0, ...}
local index = KEYS[1]
local prefix, letter, owner, last_score, last_member = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local limit, repair, linger_ms = tonumber(ARGV[6]), ARGV[7] == '1', tonumber(ARGV[8])

-- Of whom the session has to be, for the member to stand here.
local function owners_by(member)
  if letter ~= 'x' then
    return member, letter == 'u' and owner or nil, letter == 'a' and owner or nil
  end
  return split_expiry_member(member)
end

local function is_ghost(member)
  local session_id, user, agent = owners_by(member)
  if not session_id then
    return true
  end
  local session_key = prefix .. 's:' .. session_id
  local stored = redis.pcall('HMGET', session_key, 'user', 'agent')
  if wrong_type(stored) then
    return false
  end
  if not stored[1] and not stored[2] then
    return redis.call('EXISTS', session_key) == 0
  end
  return user and stored[1] and stored[1] ~= user or agent and stored[2] and stored[2] ~= agent
end

local now = now_ms()
local found_there = page(index, last_member == '' and '-inf' or last_score, last_member, limit)
local findings = { '', '' }
local found = collect_findings(findings, repair)
for i = 1, #found_there, 2 do
  local member, score = found_there[i], tonumber(found_there[i + 1])
  local waits = score <= now and (letter == 'x' or score > now - linger_ms)
  if not waits and is_ghost(member) then
    found('ghost', index, member, function()
      redis.call('ZREM', index, member)
    end)
  end
end
if #found_there == 2 * limit then
  findings[1], findings[2] = found_there[#found_there], found_there[#found_there - 1]
end
return findings
