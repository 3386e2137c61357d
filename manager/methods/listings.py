"""Methods of `SessionManager` that list and count sessions."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from agent_runtime.manager.codec import metadata_values, to_session
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.methods.context import Context, Facet
from agent_runtime.manager.models.sessions import Session
from agent_runtime.manager.scripts import sessions as scripts
from agent_runtime.manager.scripts.replies import START
from agent_runtime.manager.skip_corrupt import SkipCorrupt

#: Most sessions that one script reads or counts; that keeps it near a millisecond.
_PAGE = 200


class ListingMethods(Facet):
    """Lists and counts sessions, some hundred per round trip, rightly whether a sweep ran or not."""

    async def get_sessions_by_user(self, user_id: str) -> list[Session]:
        """Return all live sessions of a user, oldest first. For very many, use `iter_sessions_by_user`.

        A session that cannot be read is left out and logged.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> for session in await manager.get_sessions_by_user("user_123"):
            ...     print(session.session_id, session.agent_id)
        """
        return await _oldest_first(_pages_of_user(self._context, user_id))

    async def get_sessions_by_agent(self, agent_id: str) -> list[Session]:
        """Return all live sessions of an agent, oldest first. For very many, use `iter_sessions_by_agent`.

        A session that cannot be read is left out and logged.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> sessions = await manager.get_sessions_by_agent("chatbot")
        """
        return await _oldest_first(_pages_of_agent(self._context, agent_id))

    async def iter_sessions_by_user(self, user_id: str) -> AsyncIterator[Session]:
        """Iterate over the live sessions of a user, next to expire first, some hundred per round trip.

        A session that is refreshed during the iteration may come twice. A session that stays live is never
        left out, unless it cannot be read; then it is logged.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> async for session in manager.iter_sessions_by_user("user_123"):
            ...     print(session.session_id)
        """
        async for page in _pages_of_user(self._context, user_id):
            for session in page:
                yield session

    async def iter_sessions_by_agent(self, agent_id: str) -> AsyncIterator[Session]:
        """Iterate over the live sessions of an agent, as `iter_sessions_by_user` does.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> async for session in manager.iter_sessions_by_agent("chatbot"):
            ...     print(session.session_id)
        """
        async for page in _pages_of_agent(self._context, agent_id):
            for session in page:
                yield session

    async def get_active_session_count(self, user_id: str | None = None) -> int:
        """Count the live sessions of one user, or of all. A revoked session never counts.

        The count is exact while no bulk deletion is open. While two deletions are open that share sessions (a
        user's and an agent's), the count of all is low by the sessions they share. While the deletion of an
        agent is open, a user's sessions are counted page by page, and a session that is refreshed during the
        count may count twice.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> await manager.get_active_session_count("user_123")
            3
        """
        context = self._context
        if user_id is None:
            return sum(await asyncio.gather(*(_count_all(context, keys) for keys in context.partitions.all)))
        keys = context.ids.keys_of_user(user_id)
        total, cursor = await scripts.count_user_sessions(context.client, keys, user_id, START, _PAGE)
        while cursor != START:
            count, cursor = await scripts.count_user_sessions(context.client, keys, user_id, cursor, _PAGE)
            total += count
        return total


async def _count_all(context: Context, keys: Keys) -> int:
    """Count the live sessions of a partition."""
    total, seen = await scripts.count_sessions(context.client, keys, 0)
    while seen >= 0:
        count, seen = await scripts.count_sessions(context.client, keys, seen)
        total += count
    return max(total, 0)


async def _pages_of_user(context: Context, user_id: str) -> AsyncIterator[list[Session]]:
    keys = context.ids.keys_of_user(user_id)
    async for page in _pages(context, keys, keys.user_index(user_id)):
        yield page


async def _pages_of_agent(context: Context, agent_id: str) -> AsyncIterator[list[Session]]:
    context.ids.check("agent_id", agent_id)
    for keys in context.partitions.all:
        async for page in _pages(context, keys, keys.agent_index(agent_id)):
            yield page


async def _pages(context: Context, keys: Keys, index: bytes) -> AsyncIterator[list[Session]]:
    """Iterate over the live sessions that an index lists, page by page."""
    cursor, listing = START, SkipCorrupt()
    while True:
        cursor, page = await scripts.list_sessions(context.client, keys, index, cursor, limit=_PAGE)
        decryptor = await context.key_provider.decryptor(
            value for stored in page for value in metadata_values(stored.fields)
        )
        yield list(listing.readable(page, partial(to_session, decryptor=decryptor)))
        if cursor == START:
            return


async def _oldest_first(pages: AsyncIterator[list[Session]]) -> list[Session]:
    by_id = {session.session_id: session async for page in pages for session in page}
    return sorted(by_id.values(), key=lambda session: session.created_at)
