"""The typed function for the script that agrees on the layout of the store."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from agent_runtime.manager.keys import Keys
from agent_runtime.manager.transport.script import Script, load_script

_AGREE_LAYOUT = load_script("layout/agree_layout")

#: Calls a script, as `ScriptClient.call` does.
CallScript = Callable[[Script, Sequence[Any], Sequence[Any]], Awaitable[Any]]


async def agree_layout(
    call: CallScript, home: Keys, layout: Mapping[str, str], *, kept_ms: int
) -> dict[str, str]:
    """Note what is not noted yet of a layout. Return what is noted otherwise."""
    args = [kept_ms, *(part for field in layout.items() for part in field)]
    reply = await call(_AGREE_LAYOUT, [home.layout], args)
    texts = [each.decode(errors="replace") for each in reply]
    return dict(zip(texts[::2], texts[1::2], strict=True))
