"""New ids, and the bucket of a user in the ids of sessions.

A session id is ``sess_`` + 3 characters (15 bits, base 32) of a hash of its user id + 23 letters and digits
(136 random bits). The 15 bits are the *bucket* of the user; partition = bucket mod `partitions`. So an id
alone names its keys. Ids stay valid when the number of partitions changes, but stored data does not move by
itself.
"""

import hashlib
import os
from binascii import b2a_base64
from functools import lru_cache

#: Prefixes of the ids this package makes.
SESSION_PREFIX, CHECKPOINT_PREFIX, JOB_PREFIX = "sess_", "ckpt_", "job_"

#: The digits of `int(…, 32)`.
_BASE32 = "0123456789abcdefghijklmnopqrstuv"
_BUCKET_CHARACTERS, _BUCKET_BITS = 3, 15

#: 23 letters and digits are 136 random bits. 24 bytes are 32 characters of base 64, mostly 31 of them letters
#: and digits.
_RANDOM_CHARACTERS, _RANDOM_BYTES = 23, 24


def random_text() -> str:
    """Return random letters and digits: as quick and short as base 64, and one word if pasted."""
    while len(text := b2a_base64(os.urandom(_RANDOM_BYTES)).translate(None, b"+/\n")) < _RANDOM_CHARACTERS:
        pass
    return text[:_RANDOM_CHARACTERS].decode()


@lru_cache(4096)  # the digest takes a microsecond, and creating a session needs it twice
def bucket_of_user(user_id: str) -> int:
    """Return the bucket of a user: 15 bits of a hash of the id."""
    digest = hashlib.blake2b(user_id.encode(), digest_size=2).digest()
    return int.from_bytes(digest) >> (16 - _BUCKET_BITS)


def _bucket_text(user_id: str) -> str:
    """Return the bucket of a user as it stands in session ids."""
    bucket = bucket_of_user(user_id)
    return _BASE32[bucket >> 10] + _BASE32[bucket >> 5 & 31] + _BASE32[bucket & 31]


def bucket_of_session(session_id: str) -> int:
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
    return f"{SESSION_PREFIX}{_bucket_text(user_id)}{random_text()}"


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
    return CHECKPOINT_PREFIX + random_text()


def new_job_id() -> str:
    """Return a new job id.

    Pass the id to a request for a job to make the request repeatable: the second request finds the job of the
    first.

    Example:
        >>> job_id = new_job_id()
        >>> await manager.revoke_user_sessions("user_123", job_id) == job_id
        True
    """
    return JOB_PREFIX + random_text()
