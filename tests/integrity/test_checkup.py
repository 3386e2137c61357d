"""A check finds each kind of damage, mends what it can, and then finds it no more."""

from collections.abc import Callable

from manager import Finding, SessionManager

Opener = Callable[..., SessionManager]


async def findings(manager: SessionManager, *, repair: bool = False) -> list[Finding]:
    return [finding async for finding in manager.checkup(repair=repair)]
