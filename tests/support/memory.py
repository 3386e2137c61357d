"""What lies in the memory of this process, as far as an object leads to it."""

import gc
import types
from typing import Any

#: Objects that lead to all of the process.
_ELSEWHERE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.FrameType)


def holds(root: Any, text: str) -> bool:
    """Return True if an object that can be reached from `root` holds the text, as `str` or as bytes."""
    needle = text.encode()
    seen: set[int] = set()
    pending = [root]
    while pending:
        found = pending.pop()
        if id(found) in seen or isinstance(found, _ELSEWHERE):
            continue
        seen.add(id(found))
        if isinstance(found, bytes | bytearray) and needle in found:
            return True
        if isinstance(found, str) and text in found:
            return True
        pending += gc.get_referents(found)
    return False
