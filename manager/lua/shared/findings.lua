-- Collects what a check finds: damage, key, what it is about, and 1 where it was mended, in turn. `mend`
-- does so where that is asked for; without one, the damage is left to people.
local function collect_findings(findings, repair)
  return function(damage, key, about, mend)
    local mended = repair and mend
    if mended then
      mend()
    end
    for _, part in ipairs({ damage, key, about, mended and 1 or 0 }) do
      findings[#findings + 1] = part
    end
  end
end
