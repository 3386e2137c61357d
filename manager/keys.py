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
                                          reclaimed; n is its place in the list of its user's or agent's sets
    P revocations:<u|a>       sorted set  names of the revoked sets of all users or agents, scored by expiry
                                          (ms)
    P revocations:<u|a>:<id>  sorted set  the same for one user or agent, scored by their places, which rise
    P jobs                    sorted set  open jobs with their home here, scored by last heartbeat (ms)
    P job:<job_id>            hash        the record of one job: its part in this partition and, in its home,
                                          its state; or, under the id of a request that joined another job,
                                          the id of that job
    P open:<work>             string      id of the open job that does this work (kind and parameters), for
                                          joining
    P history                 sorted set  jobs with their home here, scored by the time of their request (ms)
    P answer:<call>           string      the reply of one change or deletion, while the call may be sent
                                          again
    P layout                  hash        format of the data, number of partitions, a digest of each key of
                                          the ring (first partition only)
    P receipts                sorted set  receipts of deletions, JSON, scored by number (first partition only)
    P receipt_jobs            sorted set  ids of the jobs with a receipt, scored by its number
    P receipt_key             string      key of the hashes in receipts, if no setting gives one

Every key has a TTL: a session's own keys its expiry, an index the latest expiry of its members, keys of jobs
the retention of jobs, keys of receipts the retention of receipts, the layout 400 days. Only the expiry index
outlives its last member, by `INDEX_LINGER_MS`: the sweep has to find the sessions that it counts.

User keys lie on a server of their own (see encryption/user_keys.py), below ``<namespace>:{keys}:``

    k:<key id>           hash        wrapped (the key, wrapped under a key of the ring) and owner (its u:<…>);
                                     or erased, after an erasure
    u:<hash of user_id>  string      id of the user's key
    answer:<call>        string      as above

Each of these lives at least as long as the last session that the key encrypts.

The ids themselves are in `new_ids.py`: a session id says in which partition its keys lie.
"""

import hashlib
import re
from enum import StrEnum

from agent_runtime.manager.new_ids import bucket_of_session, bucket_of_user, random_text

#: Time by which the expiry index outlives its last member, milliseconds (one day).
INDEX_LINGER_MS = 86_400_000

#: Most partitions with tracked prefixes of their own: for each change, the server compares all prefixes. With
#: more partitions, the whole namespace is tracked.
_MOST_TRACKED = 32


class Keys:
    """The names of the keys of one partition, as bytes.

    Example:
        >>> Keys("shop", 0).session("sess_abc")
        b'shop:{0}:s:sess_abc'
    """

    __slots__ = (
        "_sessions", "expiry_index", "history", "jobs", "layout", "number", "prefix", "receipt_jobs",
        "receipt_key", "receipts",
    )  # fmt: skip

    def __init__(self, namespace: str, partition: int) -> None:
        self.number = partition
        self.prefix = f"{namespace}:{{{partition}}}:".encode()
        self._sessions = self.prefix + b"s:"
        self.expiry_index = self.prefix + b"x"
        self.jobs = self.prefix + b"jobs"
        self.history = self.prefix + b"history"
        self.layout = self.prefix + b"layout"
        self.receipts = self.prefix + b"receipts"
        self.receipt_jobs = self.prefix + b"receipt_jobs"
        self.receipt_key = self.prefix + b"receipt_key"

    def session(self, session_id: str) -> bytes:
        return self._sessions + session_id.encode()

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

    def revoked_set(self, name: str) -> bytes:
        """Return the key of a revoked set, by its name `<job_id>:<place>`."""
        return self.prefix + b"revoked:" + name.encode()

    def new_answer(self) -> bytes:
        """Return a new key for the answer of one call."""
        return self.prefix + b"answer:" + random_text().encode()

    def job(self, job_id: str) -> bytes:
        return self.prefix + b"job:" + job_id.encode()

    def open_job(self, work: str) -> bytes:
        return self.prefix + b"open:" + work.encode()


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
        self._namespace = namespace

    def pattern(self, kind: str = "") -> bytes:
        """Return the pattern, as in `SCAN`, that all keys of one kind match; or all keys of the namespace."""
        namespace = re.sub(rb"([*?\[\]\\])", rb"\\\1", self._namespace.encode())
        return namespace + (f":{{*}}:{kind}:*" if kind else ":*").encode()

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
        return self.all[bucket_of_user(user_id) % len(self.all)]

    def of_session(self, session_id: str) -> Keys:
        return self.all[bucket_of_session(session_id) % len(self.all)]


class UserKeyNames:
    """The names of the keys in Redis that hold user keys.

    Example:
        >>> UserKeyNames("shop").key("0af1")
        b'shop:{keys}:k:0af1'
    """

    def __init__(self, namespace: str) -> None:
        self.prefix = f"{namespace}:{{keys}}:".encode()
        self.key_prefix = self.prefix + b"k:"

    def key(self, key_id: str) -> bytes:
        return self.key_prefix + key_id.encode()

    def owner(self, user_id: str) -> bytes:
        digest = hashlib.blake2b(user_id.encode(), digest_size=16).hexdigest()
        return self.prefix + b"u:" + digest.encode()

    def new_answer(self) -> bytes:
        """Return a new key for the answer of one call."""
        return self.prefix + b"answer:" + random_text().encode()
