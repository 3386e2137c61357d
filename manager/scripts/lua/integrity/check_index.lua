-- Check one page of an index for ghosts: members whose session is gone, or belongs to another owner. An
-- expired member is no ghost while it waits for the sweep, which can still find it as long as the expiry
-- index lives.
-- Uses: base sessions integrity
-- KEYS[1] sorted set: index of a user or an agent, or the expiry index
-- ARGV[1] prefix of the partition
-- ARGV[2] letter of the index: 'u', 'a' or 'x'
-- ARGV[3] its owner, or ''
-- ARGV[4] score of the last member seen, or '' to begin
-- ARGV[5] the last member seen, or ''
-- ARGV[6] most members to check
-- ARGV[7] 1 to repair findings, else 0
-- ARGV[8] how long the expiry index outlives its members, milliseconds
-- Reply: {score and member of the last one checked, or '' and '' at the end, damage, key, detail, 1 if repaired else 0, ...}
local index = KEYS[1]
local prefix, letter, owner, last_score, last_member = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local limit, repair, linger_ms = tonumber(ARGV[6]), ARGV[7] == '1', tonumber(ARGV[8])

-- Session id, user and agent that a member stands for; nil for an owner that the index does not tell.
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
local members = page(index, last_member == '' and '-inf' or last_score, last_member, limit)
local findings = { '', '' }
local report = collect_findings(findings, repair)
for i = 1, #members, 2 do
  local member, score = members[i], tonumber(members[i + 1])
  local waits = score <= now and (letter == 'x' or score > now - linger_ms)
  if not waits and is_ghost(member) then
    report('ghost', index, member, function()
      redis.call('ZREM', index, member)
    end)
  end
end
if #members == 2 * limit then
  findings[1], findings[2] = members[#members], members[#members - 1]
end
return findings
