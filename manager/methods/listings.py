"""Methods of `SessionManager` that list and count sessions."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from agent_runtime.manager.codec import metadata_values, to_session
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.methods.context import ManagerBase
from agent_runtime.manager.models.sessions import Session
from agent_runtime.manager.scripts import sessions as scripts
from agent_runtime.manager.scripts.replies import START
from agent_runtime.manager.skip_corrupt import SkipCorrupt

#: Sessions and bytes that one script reads or counts; that keeps it near a millisecond.
_PAGE, _PAGE_BYTES = 200, 262_144


class ListingMethods(ManagerBase):
    """Lists and counts: some hundred sessions per round trip, right whether a sweep ran or not."""

    async def get_sessions_by_user(self, user_id: str) -> list[Session]:
        """All live sessions of a user, oldest first. For very many, use `iter_sessions_by_user`.

        Example:
            >>> for session in await manager.get_sessions_by_user("user_123"):
            ...     print(session.session_id, session.agent_id)
        """
        keys = self._partitions.of_user(self._check_id("user_id", user_id))
        return await _oldest_first(self._pages(keys, keys.user_index(user_id)))

    async def get_sessions_by_agent(self, agent_id: str) -> list[Session]:
        """All live sessions of an agent, oldest first. For very many, use `iter_sessions_by_agent`.

        Example:
            >>> sessions = await manager.get_sessions_by_agent("chatbot")
        """
        return await _oldest_first(self._pages_of_agent(agent_id))

    async def iter_sessions_by_user(self, user_id: str) -> AsyncIterator[Session]:
        """Goes over the live sessions of a user, next to expire first, some hundred at a time.

        A session that is refreshed meanwhile may come twice; none that stays live is left out, but those
        that cannot be read, which the log tells.

        Example:
            >>> async for session in manager.iter_sessions_by_user("user_123"):
            ...     print(session.session_id)
        """
        keys = self._partitions.of_user(self._check_id("user_id", user_id))
        async for page in self._pages(keys, keys.user_index(user_id)):
            for session in page:
                yield session

    async def iter_sessions_by_agent(self, agent_id: str) -> AsyncIterator[Session]:
        """Goes over the live sessions of an agent; otherwise as `iter_sessions_by_user`.

        Example:
            >>> async for session in manager.iter_sessions_by_agent("chatbot"):
            ...     print(session.session_id)
        """
        async for page in self._pages_of_agent(agent_id):
            for session in page:
                yield session

    async def get_active_session_count(self, user_id: str | None = None) -> int:
        """How many sessions are live, of one user or of all; revoked ones never count.

        Exact while no bulk deletion is open. While two are that share sessions (a user's and an agent's, in
        their grace perhaps), the count of all is low by what they share; while one of an agent is, a user's
        sessions are counted page by page, and one that is refreshed meanwhile may count twice.

        Example:
            >>> await manager.get_active_session_count("user_123")
            3
        """
        if user_id is None:
            return sum(await asyncio.gather(*(self._count_all(keys) for keys in self._partitions.all)))
        keys = self._partitions.of_user(self._check_id("user_id", user_id))
        total, cursor = await scripts.count_user_sessions(self._client, keys, user_id, START, _PAGE)
        while cursor != START:
            count, cursor = await scripts.count_user_sessions(self._client, keys, user_id, cursor, _PAGE)
            total += count
        return total

    async def _count_all(self, keys: Keys) -> int:
        total, seen = await scripts.count_sessions(self._client, keys, 0)
        while seen >= 0:
            count, seen = await scripts.count_sessions(self._client, keys, seen)
            total += count
        return max(total, 0)

    async def _pages_of_agent(self, agent_id: str) -> AsyncIterator[list[Session]]:
        self._check_id("agent_id", agent_id)
        for keys in self._partitions.all:
            async for page in self._pages(keys, keys.agent_index(agent_id)):
                yield page

    async def _pages(self, keys: Keys, index: bytes) -> AsyncIterator[list[Session]]:
        cursor, listing = START, SkipCorrupt()
        while True:
            cursor, page = await scripts.list_sessions(
                self._client, keys, index, cursor, limit=_PAGE, max_bytes=_PAGE_BYTES
            )
            decryptor = await self._key_provider.decryptor(
                value for stored in page for value in metadata_values(stored.fields)
            )
            yield list(listing.readable(page, partial(to_session, decryptor=decryptor)))
            if cursor == START:
                return


async def _oldest_first(pages: AsyncIterator[list[Session]]) -> list[Session]:
    by_id = {session.session_id: session async for page in pages for session in page}
    return sorted(by_id.values(), key=lambda session: session.created_at)
