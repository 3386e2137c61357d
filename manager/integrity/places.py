"""Takes the keys of the namespace apart: the kind of a key, its partition, and its session, user or job."""

import re
from typing import NamedTuple

from agent_runtime.manager.keys import INDEX_LINGER_MS, Keys, Partitions, UserKeyNames
from agent_runtime.manager.settings import Settings

#: Kinds of keys whose members are scored by their expiry; the expiry index outlives its members.
_INDEXES, _LISTS = ("u", "a", "x"), ("revocations", "revoked")
_OF_SESSIONS = ("s", "c", "o")
_OF_JOBS = {"jobs": "zset", "history": "zset", "job": "hash", "open": "string", "answer": "string"}
_OF_STORE = {"layout": "hash"}
_OF_RECEIPTS = {"receipts": "zset", "receipt_jobs": "zset", "receipt_key": "string"}


class Place(NamedTuple):
    """A key taken apart."""

    key: bytes
    keys: Keys
    #: As in `manager.keys`: `s`, `u`, `revoked`, `job`, …
    kind: str
    #: The rest of the key: id of a session, a user, a job.
    name: str

    @property
    def is_session(self) -> bool:
        """Return True for a session's own keys."""
        return self.kind in _OF_SESSIONS

    @property
    def is_index(self) -> bool:
        """Return True for the index of a user or an agent, and for the expiry index."""
        return self.kind in _INDEXES

    @property
    def type(self) -> str:
        """Return the type that a key of this kind has in Redis, other than a session's own."""
        return {**_OF_STORE, **_OF_JOBS, **_OF_RECEIPTS}.get(self.kind, "zset")

    @property
    def lingers_ms(self) -> int | str:
        """Return how long the key outlives its last member by score, milliseconds; '' if scores are not
        times.
        """
        is_by_place = self.kind == "revocations" and ":" in self.name
        if self.kind not in (*_INDEXES, *_LISTS) or is_by_place:
            return ""
        return INDEX_LINGER_MS if self.kind == "x" else 0

    def keep_ms(self, settings: Settings) -> int:
        """Return the time to live to set on such a key if nothing in it says more, milliseconds."""
        if self.kind in _OF_RECEIPTS:
            return settings.receipt_retention_seconds * 1000
        return settings.job_retention_seconds * 1000


class Places:
    """The places of all keys of one namespace."""

    _KNOWN = (*_OF_SESSIONS, *_INDEXES, *_LISTS, *_OF_STORE, *_OF_JOBS, *_OF_RECEIPTS)

    def __init__(self, namespace: str, partitions: Partitions) -> None:
        self._partitions = partitions
        self._form = re.compile(re.escape(namespace.encode()) + rb":\{(\d+)\}:([a-z_]+)(?::(.+))?", re.DOTALL)
        self._users_keys = UserKeyNames(namespace).prefix

    def pattern(self, kind: str = "") -> bytes:
        """Return the pattern that the keys of one kind match, or all keys."""
        return self._partitions.pattern(kind)

    def is_users_key(self, key: bytes) -> bool:
        """Return True for a Redis key of the user keys for encryption, which are no part of the store."""
        return key.startswith(self._users_keys)

    def find(self, key: bytes) -> Place | None:
        """Return the place of a key, or None if the key is none of ours."""
        found = self._form.fullmatch(key)
        if found is None or int(found[1]) >= len(self._partitions.all):
            return None
        if found[2].decode() not in self._KNOWN:
            return None
        try:
            name = (found[3] or b"").decode()
        except UnicodeDecodeError:
            return None
        return Place(key, self._partitions.all[int(found[1])], found[2].decode(), name)
