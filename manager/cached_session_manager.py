"""A `SessionManager` that remembers the sessions it read last."""

from dataclasses import replace
from typing import Any

from agent_runtime.manager.session_manager import SessionManager
from agent_runtime.manager.stores.session_cache import SessionCache
from agent_runtime.manager.validation import check_count, check_flag, check_positive


class CachedSessionManager(SessionManager):
    """Answers `get_session` and `get_sessions` from memory if the copy is known to be right.

    A change, deletion or revocation by this manager is noticed at once. A change by another process is
    noticed as soon as the server's message about it arrives (client tracking, on a connection of its own for
    each event loop), and in any case after at most `max_staleness` seconds: when that connection is lost, the
    cache is emptied; when it is silent for so long, sessions are read from the server. If the server does not
    track (no right to `CLIENT TRACKING`, a proxy, a client that is called in threads), or if users have keys
    of their own (no message tells of an erased key), a copy is used for at most `max_staleness` seconds.

    An expired session is never returned: its remaining life is taken from the server's clock when it is read.
    Callers get copies, so changing one changes nothing here.

    Args:
        cache_size: most sessions to remember; the one not asked for longest goes first.
        max_staleness: longest that a change made elsewhere may go unnoticed, seconds.
        tracking: True to ask the server for messages about changes. Each change of a session in the namespace
            costs a message of some 60 bytes to each event loop that listens.

    Raises:
        InvalidArgumentError: an argument is not acceptable (a `ValueError`).

    Example:
        >>> manager = CachedSessionManager(redis.Redis(), cache_size=1_000, max_staleness=0.5)
    """

    def __init__(
        self,
        *args: Any,
        cache_size: int = 100,
        max_staleness: float = 1.0,
        tracking: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        context = self._context
        self.__cache = SessionCache(
            args[0] if args else kwargs["conn"],
            context.partitions,
            context.settings,
            context.reader,
            context.copies,
            size=check_count("cache_size", cache_size, 1),
            max_staleness=check_positive("max_staleness", max_staleness),
            tracking=check_flag("tracking", tracking),
        )
        self._context = replace(context, reader=self.__cache)

    def is_tracking_active(self) -> bool:
        """Return True if the server tells this event loop of changes; else `max_staleness` bounds each copy.

        Tracking begins with the first read.

        Example:
            >>> manager.is_tracking_active()
            True
        """
        return self.__cache.is_tracking_active()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and drop copies made under them.

        Example:
            >>> await manager.aclose()
        """
        await self.__cache.aclose()
        await super().aclose()
