"""Every key in Redis, and what lies behind it.

Everything of one user lies in one *partition*, and a partition is one hash tag, so that each operation is
one script on one slot. With ``P`` = ``<namespace>:{<partition>}:``

    P s:<session_id>     hash        user, agent, created (µs), expires (ms), size (bytes of metadata),
                                     and a field m:<key> with a stored value for each metadata key;
                                     assigned (µs), only where the agent was changed;
                                     user_key (id of the key of its values), only where users have keys;
                                     pins (how many checkpoints are pinned) and a field p:<checkpoint_id>
                                     for each, only where one was
    P c:<session_id>     hash        checkpoint id -> stored value (see codec.py); and of chunks that
                                     checkpoints share (see chunks.py), behind a byte 255, which no id has:
                                     name of the chunk -> stored value, and '' -> how many times recipes name
                                     each chunk, JSON
    P o:<session_id>     sorted set  checkpoint id, scored by creation (µs, strictly rising)
    P u:<user_id>        sorted set  session ids of the user, scored by expiry (ms)
    P a:<agent_id>       sorted set  session ids of the agent in this partition, scored by expiry (ms)
    P x                  sorted set  expiry index: "<session_id> <bytes of user_id> <user_id><agent_id>",
                                     scored by expiry (ms)
    P revoked:<job_id>:<n> sorted set  an index that a bulk deletion took away, waiting to be reclaimed; the
                                     n-th, where more requests joined the job
    P revocations:<u|a>     sorted set  revoked sets by kind of index, scored by their expiry (ms)
    P revocations:<u|a>:<id> sorted set the same of one user or agent
    P jobs               sorted set  open jobs with their home here, scored by last heartbeat (ms)
    P job:<job_id>       hash        the record of one job: of its part in this partition and, in its home,
                                     of its state; or, under the id of a request that joined another job,
                                     which one
    P open:<work>        string      id of the open job that does this work (kind and parameters), to join
    P history            sorted set  jobs with their home here, scored by when they were asked for (ms)
    P answer:<call>      string      what one change or deletion answered, while it may be sent again
    P receipts           sorted set  receipts of deletions, JSON, scored by number (first partition only)
    P receipt_jobs       sorted set  ids of the jobs with a receipt, scored by its number
    P receipt_key        string      key of the receipts' hashes, where none is set

Every key carries a TTL: a session's own keys its expiry, an index the latest expiry of its members, what
belongs to jobs the retention of jobs, receipts their own. The expiry index alone lives `INDEX_LINGER_MS`
longer than its last member, because the sweep has to find what it counts.

Users' own keys lie on a server of their own (see encryption/user_keys.py), below ``<namespace>:{keys}:``

    k:<key id>           hash        wrapped (the key, sealed under one of the ring) and owner (its u:<…>);
                                     or erased, after an erasure
    u:<hash of user_id>  string      id of the user's key
    answer:<call>        string      as above

Each lives at least as long as the last session that the key seals.

A session id is ``sess_`` + 3 characters (15 bits, base 32) of a hash of its user id + 23 letters and digits
(135 random bits). The 15 bits are its *bucket*; partition = bucket mod `partitions`. So an id alone finds its
keys. Ids stay valid when the number of partitions changes, but what is stored does not move by itself.
"""

import hashlib
import os
from binascii import b2a_base64
from enum import StrEnum
from functools import lru_cache

#: How long the expiry index outlives its last member, milliseconds (one day).
INDEX_LINGER_MS = 86_400_000

#: Prefixes of the ids this package makes.
SESSION_PREFIX, CHECKPOINT_PREFIX, JOB_PREFIX = "sess_", "ckpt_", "job_"

#: Most partitions whose keys are tracked by prefixes of their own: with each change the server goes through
#: all prefixes. Beyond, the whole namespace is tracked.
_MOST_TRACKED = 32

#: Digits that `int(…, 32)` reads.
_BASE32 = "0123456789abcdefghijklmnopqrstuv"
_BUCKET_CHARACTERS, _BUCKET_BITS = 3, 15

#: 23 letters and digits are 136 random bits. So many bytes are 32 characters, of which 31 are such, mostly.
_RANDOM_CHARACTERS, _RANDOM_BYTES = 23, 24


def _random_text() -> str:
    """Letters and digits: as quick and short as base 64, and one word wherever it is pasted."""
    while len(text := b2a_base64(os.urandom(_RANDOM_BYTES)).translate(None, b"+/\n")) < _RANDOM_CHARACTERS:
        pass
    return text[:_RANDOM_CHARACTERS].decode()


@lru_cache(4096)  # the digest takes a microsecond, and a creation needs it twice
def _bucket_of_user(user_id: str) -> int:
    digest = hashlib.blake2b(user_id.encode(), digest_size=2).digest()
    return int.from_bytes(digest) >> (16 - _BUCKET_BITS)


def _bucket_text(user_id: str) -> str:
    bucket = _bucket_of_user(user_id)
    return _BASE32[bucket >> 10] + _BASE32[bucket >> 5 & 31] + _BASE32[bucket & 31]


def _bucket_of_session(session_id: str) -> int:
    start = len(SESSION_PREFIX)
    try:
        return int(session_id[start : start + _BUCKET_CHARACTERS], 32)
    except ValueError:  # no id of ours; looked for all the same, and not found
        return 0


def new_session_id(user_id: str) -> str:
    """A new session id, which carries the bucket of its user.

    Example:
        >>> new_session_id("user_123")
        'sess_9k2Zt0c…'
    """
    return f"{SESSION_PREFIX}{_bucket_text(user_id)}{_random_text()}"


def is_session_id_of(session_id: str, user_id: str) -> bool:
    """Whether `new_session_id(user_id)` may have made this id."""
    start = SESSION_PREFIX + _bucket_text(user_id)
    random_text = session_id.removeprefix(start)
    is_random = len(random_text) == _RANDOM_CHARACTERS and random_text.isascii() and random_text.isalnum()
    return session_id.startswith(start) and is_random


def new_checkpoint_id() -> str:
    """A new checkpoint id.

    Example:
        >>> new_checkpoint_id()
        'ckpt_9k2Zt0c…'
    """
    return CHECKPOINT_PREFIX + _random_text()


def new_job_id() -> str:
    """A new job id."""
    return JOB_PREFIX + _random_text()


class Keys:
    """Names of the keys of one partition, as bytes.

    Example:
        >>> Keys("shop", 0).session("sess_abc")
        b'shop:{0}:s:sess_abc'
    """

    __slots__ = ("expiry_index", "history", "jobs", "number", "prefix")

    def __init__(self, namespace: str, partition: int) -> None:
        self.number = partition
        self.prefix = f"{namespace}:{{{partition}}}:".encode()
        self.expiry_index = self.prefix + b"x"
        self.jobs = self.prefix + b"jobs"
        self.history = self.prefix + b"history"

    def session(self, session_id: str) -> bytes:
        return self.prefix + b"s:" + session_id.encode()

    def checkpoints(self, session_id: str) -> bytes:
        return self.prefix + b"c:" + session_id.encode()

    def checkpoint_order(self, session_id: str) -> bytes:
        return self.prefix + b"o:" + session_id.encode()

    def user_index(self, user_id: str) -> bytes:
        return self.prefix + b"u:" + user_id.encode()

    def agent_index(self, agent_id: str) -> bytes:
        return self.prefix + b"a:" + agent_id.encode()

    def revocations(self, letter: str, owner: str = "") -> bytes:
        return self.prefix + b"revocations:" + (f"{letter}:{owner}" if owner else letter).encode()

    def new_answer(self) -> bytes:
        """The key of the answer of one call."""
        return self.prefix + b"answer:" + _random_text().encode()

    def job(self, job_id: str) -> bytes:
        return self.prefix + b"job:" + job_id.encode()

    def open_job(self, work: str) -> bytes:
        return self.prefix + b"open:" + work.encode()

    @property
    def receipts(self) -> bytes:
        return self.prefix + b"receipts"

    @property
    def receipt_jobs(self) -> bytes:
        return self.prefix + b"receipt_jobs"

    @property
    def receipt_key(self) -> bytes:
        return self.prefix + b"receipt_key"


class Change(StrEnum):
    """What the change of a key says of sessions. The value is how such a key goes on behind its partition."""

    SESSION = "s:"
    """One has changed or is gone."""
    USER_REVOKED = "revocations:u:"
    """A deletion took a user's index away, or ended."""
    AGENT_REVOKED = "revocations:a:"
    """A deletion took an agent's index away, or ended."""
    OTHER = ""
    """Nothing."""


class Partitions:
    """All partitions of one namespace.

    Example:
        >>> Partitions("shop", 4).of_user("ann").prefix
        b'shop:{3}:'
    """

    def __init__(self, namespace: str, count: int) -> None:
        self.all = [Keys(namespace, number) for number in range(count)]
        #: Where the state of a job lies that is about no user and no single session, and all receipts.
        self.home = self.all[0]

    def prefixes_of_changes(self) -> list[bytes]:
        """Prefixes of all keys that change where what a reader sees of a session does.

        Indexes are not among them, though a revocation takes one away: they change with every creation too.
        """
        if len(self.all) > _MOST_TRACKED:
            return [self.home.prefix.partition(b"{")[0] + b"{"]
        return [keys.prefix + kind for keys in self.all for kind in (b"s:", b"revocations:")]

    @staticmethod
    def change_told_by(key: bytes) -> tuple[Change, str]:
        """What the change of this key means, and for which session, user or agent."""
        name = key.partition(b"}:")[2].decode(errors="replace")
        change = next(change for change in Change if name.startswith(change))
        return change, name.removeprefix(change)

    def of_user(self, user_id: str) -> Keys:
        return self.all[_bucket_of_user(user_id) % len(self.all)]

    def of_session(self, session_id: str) -> Keys:
        return self.all[_bucket_of_session(session_id) % len(self.all)]


class UserKeyNames:
    """Names of the keys in Redis that belong to users' own keys.

    Example:
        >>> UserKeyNames("shop").key("0af1")
        b'shop:{keys}:k:0af1'
    """

    def __init__(self, namespace: str) -> None:
        self._prefix = f"{namespace}:{{keys}}:".encode()
        self.key_prefix = self._prefix + b"k:"

    def key(self, key_id: str) -> bytes:
        return self.key_prefix + key_id.encode()

    def owner(self, user_id: str) -> bytes:
        digest = hashlib.blake2b(user_id.encode(), digest_size=16).hexdigest()
        return self._prefix + b"u:" + digest.encode()

    def new_answer(self) -> bytes:
        """The key of the answer of one call."""
        return self._prefix + b"answer:" + _random_text().encode()
