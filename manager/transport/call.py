"""One call of a script, from its caller to the server and back."""

import asyncio
from collections.abc import Sequence
from typing import Any

from agent_runtime.manager.transport.async_twin import Command
from agent_runtime.manager.transport.script import Script


class Call:
    """A call of a script, and the future on which its caller waits.

    A call may be sent more than once: every script is safe to repeat.
    """

    __slots__ = (
        "command",
        "due_at",
        "failures",
        "made_at",
        "refusal",
        "refusals",
        "reply",
        "script",
        "sent",
        "uncertain",
    )

    def __init__(self, script: Script, command: Command, loop: asyncio.AbstractEventLoop) -> None:
        self.script = script
        self.command = command
        self.reply: asyncio.Future[Any] = loop.create_future()
        #: When the caller made the call, by the loop's clock.
        self.made_at = loop.time()
        #: When the call ends if no reply comes; None until an engine takes the call up. The time is counted
        #: from then: of 60,000 calls made in one tick, the last waited longer for this process than a server
        #: may take to answer.
        self.due_at: float | None = None
        #: True if the server may have seen the call.
        self.sent = False
        #: True if the call was sent before, had no reply, and may have been applied.
        self.uncertain = False
        #: Number of connections that could not be made for the call, or broke while it was in flight.
        self.failures = 0
        #: Number of refusals by servers that are not the primary, and the last of these errors.
        self.refusals = 0
        self.refusal: Exception | None = None

    @property
    def keys(self) -> Sequence[Any]:
        """Return the keys that the script is called with."""
        return self.command[3 : 3 + self.command[2]]

    def answer(self, reply: Any) -> None:
        """Hand a reply or an exception to the caller, if one still waits."""
        if self.reply.done():
            return
        if isinstance(reply, Exception):
            self.reply.set_exception(reply)
        else:
            self.reply.set_result(reply)

    def note_refusal(self, error: Exception) -> None:
        """Note that the server did not apply this sending of the call."""
        self.sent = self.uncertain
        self.refusal = error

    def with_source(self) -> Command:
        """Return the command for a server that does not know the script.

        Loading the script would not be enough: another client may flush the server's scripts in between.
        """
        return ("EVAL", self.script.source, *self.command[2:])
