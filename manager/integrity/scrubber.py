"""The scrubber: it checks a whole store, and repairs it, while others work on it.

Keys come from `SCAN`, some at a time, at the pace of bulk work. One script checks and repairs each session or
page of an index as it is at that instant, so changes by others are never taken for damage. An interrupted
check leaves nothing half done, and can be started again.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

from agent_runtime.manager.codec import metadata_values, to_checkpoint, to_session
from agent_runtime.manager.encryption.providers import KeyProvider
from agent_runtime.manager.errors import CorruptDataError, JobNotFoundError
from agent_runtime.manager.integrity.places import Place, Places
from agent_runtime.manager.jobs.jobs import Jobs
from agent_runtime.manager.jobs.pace import Pace, pace_of
from agent_runtime.manager.keys import Partitions
from agent_runtime.manager.models.findings import Damage, Finding
from agent_runtime.manager.scripts import checkpoints as checkpoint_scripts
from agent_runtime.manager.scripts import integrity as scripts
from agent_runtime.manager.scripts import sessions as session_scripts
from agent_runtime.manager.scripts.replies import START
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.transport.script_client import ScriptClient

#: Most checkpoints, and bytes of them, that are read at a time.
_PAGE, _PAGE_BYTES = 100, 262_144


class StoreScrubber:
    """One check of a store. Iterate over it for its findings.

    Args:
        repair: True to repair damage that can be repaired without losing anything readable.

    Raises (while iterating):
        StoreError: the store could not be reached, or refused. The check can be started again.

    Example:
        >>> async for finding in manager.scrub():
        ...     print(finding.damage, finding.key)
    """

    def __init__(
        self,
        client: ScriptClient,
        partitions: Partitions,
        jobs: Jobs,
        key_provider: KeyProvider,
        settings: Settings,
        *,
        repair: bool,
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._key_provider = key_provider
        self._settings = settings
        self._repair = repair
        self._places = Places(settings.namespace, partitions)
        self._reported: set[tuple[str, ...]] = set()
        #: Number of keys of the namespace that were checked so far.
        self.keys_seen = 0
        #: Rough progress, from 0 to 1.
        self.progress = 0.0

    async def __aiter__(self) -> AsyncIterator[Finding]:
        # Revoked sets come first: they tell whether a session is revoked.
        passes: list[tuple[str, Check]] = [("revoked", self._check_revoked_set), ("", self._check)]
        for number, (kind, check) in enumerate(passes):
            async for finding in self._scan(self._places.pattern(kind), check, number / len(passes)):
                reported = (finding.damage, finding.key, finding.detail)
                if reported not in self._reported:  # a scan may return a key twice
                    self._reported.add(reported)
                    yield finding
        self.progress = 1.0

    async def _scan(self, pattern: bytes, check: "Check", before: float) -> AsyncIterator[Finding]:
        """Check all keys that match a pattern. `before`: progress when the scan begins; it is half of all."""
        pace, cursor, passed = pace_of(self._settings), 0, 0
        while True:
            async with pace.batch() as size:
                cursor, stored, keys = await scripts.scan_keys(self._client, cursor, pattern, size)
                found = await asyncio.gather(*map(check, keys))
            for finding in itertools.chain.from_iterable(found):
                yield finding
            for key in keys:
                async for finding in self._check_index(key, pace):
                    yield finding
            self.keys_seen += len(keys)
            passed += size
            self.progress = before + min(1.0, passed / max(1, stored)) / 2
            if cursor == 0:
                return

    async def _check_revoked_set(self, key: bytes) -> list[Finding]:
        place = self._places.find(key)
        if place is None:
            return []
        found = await self._check_key(place)
        return found + await scripts.check_revoked_set(
            self._client, place.keys, place.name, repair=self._repair
        )

    async def _check(self, key: bytes) -> list[Finding]:
        place = self._places.find(key)
        if self._places.is_users_key(key):
            return []
        if place is None:
            return [Finding(damage=Damage.UNKNOWN, key=scripts.as_text(key), detail="none of ours")]
        if place.is_session:
            return await self._check_session(place)
        found = await self._check_key(place)
        if place.kind == "job" and not found:
            try:
                await self._jobs.read(place.name)
            except JobNotFoundError:  # a part or a joined request whose job is gone; both expire
                pass
            except CorruptDataError as error:
                found.append(_corrupt(place.key, error))
        return found

    async def _check_key(self, place: Place) -> list[Finding]:
        _, found = await scripts.check_key(
            self._client,
            place.key,
            expected=place.type,
            lingers_ms=place.lingers_ms,
            keep_ms=place.keep_ms(self._settings),
            repair=self._repair,
        )
        return found

    async def _check_session(self, place: Place) -> list[Finding]:
        readable, found = await scripts.check_session(
            self._client, place.keys, place.name, place.kind, repair=self._repair
        )
        if readable:
            for check in (self._check_order, self._check_data, self._check_chunks, self._check_values):
                found += await check(place)
        return found

    async def _check_order(self, place: Place) -> list[Finding]:
        found, first = [], 0
        while first >= 0:
            first, page = await scripts.check_order(
                self._client, place.keys, place.name, first, repair=self._repair
            )
            found += page
        return found

    async def _check_data(self, place: Place) -> list[Finding]:
        found, cursor = [], -1
        while cursor != 0:
            cursor, page = await scripts.check_data(
                self._client, place.keys, place.name, max(0, cursor), repair=self._repair
            )
            found += page
        return found

    async def _check_chunks(self, place: Place) -> list[Finding]:
        return await scripts.check_chunks(self._client, place.keys, place.name, repair=self._repair)

    async def _check_values(self, place: Place) -> list[Finding]:
        """Read a session and its checkpoints as callers do. Return a finding for each unreadable value."""
        found: list[Finding] = []
        keys, session_id = place.keys, place.name
        try:
            _, [stored] = await session_scripts.get_sessions(self._client, keys, [session_id])
            if stored is not None:
                decryptor = await self._key_provider.decryptor(metadata_values(stored.fields))
                to_session(stored, decryptor)
        except CorruptDataError as error:
            found.append(_corrupt(place.key, error))
        after_us = 0.0
        while True:
            page = await checkpoint_scripts.list_checkpoints(
                self._client, keys, session_id, after_us=after_us, limit=_PAGE, max_bytes=_PAGE_BYTES
            )
            if not page.checkpoints:
                return found
            decryptor = await self._key_provider.decryptor(page.values())
            for checkpoint in page.checkpoints:
                try:
                    if checkpoint.data is not None:  # otherwise, the check of the order reports it
                        to_checkpoint(session_id, checkpoint, decryptor)
                except CorruptDataError as error:
                    found.append(_corrupt(checkpoint.key, error))
            after_us = page.checkpoints[-1].created_us

    async def _check_index(self, key: bytes, pace: Pace) -> AsyncIterator[Finding]:
        place = self._places.find(key)
        if place is None or not place.is_index:
            return
        cursor = START
        try:
            while True:
                async with pace.batch() as size:
                    cursor, found = await scripts.check_index(
                        self._client,
                        place.keys,
                        key,
                        place.kind,
                        place.name,
                        cursor,
                        limit=size,
                        repair=self._repair,
                    )
                for finding in found:
                    yield finding
                if cursor == START:
                    return
        except CorruptDataError:  # the key is of another type, which is reported already
            return


Check = Callable[[bytes], Awaitable[list[Finding]]]


def _corrupt(key: bytes, error: CorruptDataError) -> Finding:
    return Finding(damage=Damage.CORRUPT, key=scripts.as_text(key), detail=str(error))
