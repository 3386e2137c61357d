-- What a call answered, kept for a while under a key of the call's own. Sent again because its answer
-- was lost, a deletion would find nothing, and a change would undo what others changed meanwhile.

-- The answer of an earlier sending of this call; nil where there was none.
local function earlier_answer(answer_key)
  return tonumber(redis.call('GET', answer_key) or nil)
end

-- The answer, noted if this call has changed anything.
local function answer_with(answer_key, count, kept_ms)
  if count > 0 then
    redis.call('SET', answer_key, count, 'PX', kept_ms)
  end
  return count
end
