"""One call of a script, on its way to the server and back."""

import asyncio
from collections.abc import Sequence
from typing import Any

from agent_runtime.manager.transport.async_twin import Command
from agent_runtime.manager.transport.script import Script


class Call:
    """A script call, and the caller who waits for it.

    It may be sent more than once: every script is safe to repeat.
    """

    __slots__ = ("command", "due_at", "failures", "made_at", "reply", "script", "sent", "uncertain")

    def __init__(self, script: Script, command: Command, loop: asyncio.AbstractEventLoop) -> None:
        self.script = script
        self.command = command
        self.reply: asyncio.Future[Any] = loop.create_future()
        #: When the caller made it, by the loop's clock.
        self.made_at = loop.time()
        #: When it ends if no answer comes. Counted from when it is taken up: of 60,000 calls made in one
        #: tick, the last waited longer for this process than a server may take to answer.
        self.due_at: float | None = None
        #: Whether the server may have seen it.
        self.sent = False
        #: Whether an earlier sending of it had no answer, and may have been applied.
        self.uncertain = False
        #: How many connections could not be made for it, or broke under it.
        self.failures = 0

    @property
    def keys(self) -> Sequence[Any]:
        return self.command[3 : 3 + self.command[2]]

    def answer(self, reply: Any) -> None:
        """Hands a reply or an exception to the caller, if one still waits."""
        if self.reply.done():
            return
        if isinstance(reply, Exception):
            self.reply.set_exception(reply)
        else:
            self.reply.set_result(reply)

    def with_source(self) -> Command:
        """The same for a server that does not know the script.

        Loading alone would not do: another client may have the server forget its scripts again meanwhile.
        """
        return ("EVAL", self.script.source, *self.command[2:])
