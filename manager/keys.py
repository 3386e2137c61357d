"""Names of all keys in Redis, and the data behind them.

All data of one user lies in one *partition*. A partition is one hash tag, so each operation is one script on
one slot. With ``P`` = ``<namespace>:{<partition>}:``

    P s:<session_id>          hash        user, agent, created (µs), expires (ms), size (bytes of metadata),
                                          and a field m:<key> with a stored value for each metadata key;
                                          assigned (µs), only if the agent was changed;
                                          user_key (id of the key that encrypts the values), only if users
                                          have keys;
                                          pins (number of pinned checkpoints), and a field p:<checkpoint_id>
                                          for each, only if one was pinned
    P c:<session_id>          hash        checkpoint id -> stored value (see codec.py);
                                          for the chunks that checkpoints share (see chunks/recipe.py), after
                                          a byte 255, which no id has: name of the chunk -> stored value, and
                                          '' -> the number of times that recipes name each chunk, JSON
    P o:<session_id>          sorted set  checkpoint id, scored by creation (µs, strictly rising)
    P u:<user_id>             sorted set  session ids of the user, scored by expiry (ms)
    P a:<agent_id>            sorted set  session ids of the agent in this partition, scored by expiry (ms)
    P x                       sorted set  expiry index: "<session_id> <bytes of user_id> <user_id><agent_id>",
                                          scored by expiry (ms)
    P revoked:<job_id>:<n>    sorted set  a revoked set: the index that a deletion renamed, waiting to be
                                          reclaimed; n numbers the sets of requests that joined one job
    P revocations:<u|a>       sorted set  names of the revoked sets of all users or agents, scored by expiry
                                          (ms)
    P revocations:<u|a>:<id>  sorted set  the same for one user or agent
    P jobs                    sorted set  open jobs with their home here, scored by last heartbeat (ms)
    P job:<job_id>            hash        the record of one job: its part in this partition and, in its home,
                                          its state; or, under the id of a request that joined another job,
                                          the id of that job
    P open:<work>             string      id of the open job that does this work (kind and parameters), for
                                          joining
    P history                 sorted set  jobs with their home here, scored by the time of their request (ms)
    P answer:<call>           string      the reply of one change or deletion, while the call may be sent
                                          again
    P receipts                sorted set  receipts of deletions, JSON, scored by number (first partition only)
    P receipt_jobs            sorted set  ids of the jobs with a receipt, scored by its number
    P receipt_key             string      key of the hashes in receipts, if no setting gives one

Every key has a TTL: a session's own keys its expiry, an index the latest expiry of its members, keys of jobs
the retention of jobs, keys of receipts the retention of receipts. Only the expiry index outlives its last
member, by `INDEX_LINGER_MS`: the sweep has to find the sessions that it counts.

User keys lie on a server of their own (see encryption/user_keys.py), below ``<namespace>:{keys}:``

    k:<key id>           hash        wrapped (the key, wrapped under a key of the ring) and owner (its u:<…>);
                                     or erased, after an erasure
    u:<hash of user_id>  string      id of the user's key
    answer:<call>        string      as above

Each of these lives at least as long as the last session that the key encrypts.

A session id is ``sess_`` + 3 characters (15 bits, base 32) of a hash of its user id + 23 letters and digits
(136 random bits). The 15 bits are the *bucket* of the user; partition = bucket mod `partitions`. So an id
alone names its keys. Ids stay valid when the number of partitions changes, but stored data does not move by
itself.
"""

import hashlib
import os
from binascii import b2a_base64
from enum import StrEnum
from functools import lru_cache

#: Time by which the expiry index outlives its last member, milliseconds (one day).
INDEX_LINGER_MS = 86_400_000

#: Prefixes of the ids this package makes.
SESSION_PREFIX, CHECKPOINT_PREFIX, JOB_PREFIX = "sess_", "ckpt_", "job_"

#: Most partitions with tracked prefixes of their own: for each change, the server compares all prefixes. With
#: more partitions, the whole namespace is tracked.
_MOST_TRACKED = 32

#: The digits of `int(…, 32)`.
_BASE32 = "0123456789abcdefghijklmnopqrstuv"
_BUCKET_CHARACTERS, _BUCKET_BITS = 3, 15

#: 23 letters and digits are 136 random bits. 24 bytes are 32 characters of base 64, mostly 31 of them letters
#: and digits.
_RANDOM_CHARACTERS, _RANDOM_BYTES = 23, 24


def _random_text() -> str:
    """Return random letters and digits: as quick and short as base 64, and one word if pasted."""
    while len(text := b2a_base64(os.urandom(_RANDOM_BYTES)).translate(None, b"+/\n")) < _RANDOM_CHARACTERS:
        pass
    return text[:_RANDOM_CHARACTERS].decode()


@lru_cache(4096)  # the digest takes a microsecond, and creating a session needs it twice
def _bucket_of_user(user_id: str) -> int:
    """Return the bucket of a user: 15 bits of a hash of the id."""
    digest = hashlib.blake2b(user_id.encode(), digest_size=2).digest()
    return int.from_bytes(digest) >> (16 - _BUCKET_BITS)


def _bucket_text(user_id: str) -> str:
    """Return the bucket of a user as it stands in session ids."""
    bucket = _bucket_of_user(user_id)
    return _BASE32[bucket >> 10] + _BASE32[bucket >> 5 & 31] + _BASE32[bucket & 31]


def _bucket_of_session(session_id: str) -> int:
    """Return the bucket in a session id."""
    start = len(SESSION_PREFIX)
    try:
        return int(session_id[start : start + _BUCKET_CHARACTERS], 32)
    except ValueError:  # an id of another form is looked up all the same, and not found
        return 0


def new_session_id(user_id: str) -> str:
    """Return a new session id, which carries the bucket of its user.

    Pass the id to `create_session` to make the call repeatable: the second call finds the session of the
    first.

    Args:
        user_id: the user whose session gets the id.

    Example:
        >>> new_session_id("user_123")
        'sess_k20...'
        >>> session_id = new_session_id("user_123")
        >>> session = await manager.create_session("user_123", "chatbot", session_id=session_id)
        >>> session.session_id == session_id
        True
    """
    return f"{SESSION_PREFIX}{_bucket_text(user_id)}{_random_text()}"


def is_session_id_of(session_id: str, user_id: str) -> bool:
    """Return True if `new_session_id(user_id)` can have made this id."""
    start = SESSION_PREFIX + _bucket_text(user_id)
    random_text = session_id.removeprefix(start)
    is_random = len(random_text) == _RANDOM_CHARACTERS and random_text.isascii() and random_text.isalnum()
    return session_id.startswith(start) and is_random


def new_checkpoint_id() -> str:
    """Return a new checkpoint id.

    Pass the id to `save_checkpoint` to make the call repeatable: the second call saves nothing.

    Example:
        >>> checkpoint_id = new_checkpoint_id()
        >>> checkpoint_id
        'ckpt_...'
        >>> await manager.save_checkpoint("sess_abc123", {"turn": 2}, checkpoint_id=checkpoint_id)
        'ckpt_...'
    """
    return CHECKPOINT_PREFIX + _random_text()


def new_job_id() -> str:
    """Return a new job id.

    Pass the id to a request for a job to make the request repeatable: the second request finds the job of the
    first.

    Example:
        >>> job_id = new_job_id()
        >>> await manager.revoke_user_sessions("user_123", job_id) == job_id
        True
    """
    return JOB_PREFIX + _random_text()


class Keys:
    """The names of the keys of one partition, as bytes.

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
        """Return a new key for the answer of one call."""
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
    """Meanings of a changed key. The value is the beginning of such a key after its partition."""

    SESSION = "s:"
    """A session has changed or is gone."""
    USER_REVOKED = "revocations:u:"
    """A deletion has revoked the sessions of a user, or has ended."""
    AGENT_REVOKED = "revocations:a:"
    """A deletion has revoked the sessions of an agent, or has ended."""
    OTHER = ""
    """The change concerns no session."""


class Partitions:
    """All partitions of one namespace.

    Example:
        >>> Partitions("shop", 4).of_user("ann").prefix
        b'shop:{3}:'
    """

    def __init__(self, namespace: str, count: int) -> None:
        self.all = [Keys(namespace, number) for number in range(count)]
        #: The partition of all receipts, and of the state of jobs that are about no user and no single
        #: session.
        self.home = self.all[0]

    def prefixes_of_changes(self) -> list[bytes]:
        """Return prefixes of all keys that change when a session changes for its readers.

        Indexes are not among them, although a revocation renames one: they change with every creation too.
        """
        if len(self.all) > _MOST_TRACKED:
            return [self.home.prefix.partition(b"{")[0] + b"{"]
        return [keys.prefix + kind for keys in self.all for kind in (b"s:", b"revocations:")]

    @staticmethod
    def change_told_by(key: bytes) -> tuple[Change, str]:
        """Return the meaning of a changed key, and the session, user or agent that it concerns."""
        name = key.partition(b"}:")[2].decode(errors="replace")
        change = next(change for change in Change if name.startswith(change))
        return change, name.removeprefix(change)

    def of_user(self, user_id: str) -> Keys:
        return self.all[_bucket_of_user(user_id) % len(self.all)]

    def of_session(self, session_id: str) -> Keys:
        return self.all[_bucket_of_session(session_id) % len(self.all)]


class UserKeyNames:
    """The names of the keys in Redis that hold user keys.

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
        """Return a new key for the answer of one call."""
        return self._prefix + b"answer:" + _random_text().encode()
