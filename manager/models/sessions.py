"""Models of sessions and checkpoints, which callers get back, and entries of batches, which they pass."""

from datetime import UTC, datetime, timedelta
from typing import Any, NotRequired, TypedDict

from pydantic import BaseModel

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta.resolution


def from_microseconds(moment_us: int) -> datetime:
    """Return the exact moment in UTC. (`datetime.fromtimestamp` would round through a float.)"""
    return _EPOCH + moment_us * _MICROSECOND


class Session(BaseModel):
    """A user talking to an agent. All times are in UTC, by the server's clock.

    Example:
        >>> session = await manager.create_session("user_123", "chatbot", {"tier": "premium"})
        >>> session.metadata
        {'tier': 'premium'}
        >>> round((session.expires_at - session.created_at).total_seconds())
        3600
    """

    session_id: str
    user_id: str
    agent_id: str
    created_at: datetime
    expires_at: datetime
    """The session is live until then, unless it is deleted before."""
    metadata: dict[str, Any] = {}
    """A JSON object."""


_FIELDS = set(Session.model_fields)
#: Setters of the attributes that every pydantic model has: its fields, the names of the fields that were
#: passed, extra fields, and private attributes.
_set_values, _set_given, _set_extra, _set_private = (
    BaseModel.__dict__[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


def session_of(fields: dict[str, Any]) -> Session:
    """Return `Session(**fields)` without validation, for values known to be right, of all fields.

    This takes a quarter of the time, which listings notice. (`model_construct` takes longer than validation.)
    """
    session = Session.__new__(Session)
    _set_values(session, fields)
    _set_given(session, _FIELDS.copy())
    _set_extra(session, None)
    _set_private(session, None)
    return session


class Checkpoint(BaseModel):
    """The state of a conversation after a turn. The methods of the manager return its fields as a dictionary.

    Example:
        >>> found = await manager.get_latest_checkpoint("sess_abc123")
        >>> Checkpoint(**found).data
        {'turn': 3}
    """

    checkpoint_id: str
    session_id: str
    data: dict[str, Any]
    """A JSON object."""
    created_at: datetime
    """In UTC, by the server's clock. Times of one session's checkpoints always rise."""


class NewSession(TypedDict):
    """An entry of `create_sessions`: the arguments of `create_session`.

    Example:
        >>> new: NewSession = {"user_id": "user_1", "agent_id": "chatbot"}
        >>> [created] = await manager.create_sessions([new])
        >>> created.user_id
        'user_1'
    """

    user_id: str
    agent_id: str
    metadata: NotRequired[dict[str, Any] | None]
    session_id: NotRequired[str | None]


class NewCheckpoint(TypedDict):
    """An entry of `save_checkpoints`: the arguments of `save_checkpoint`.

    Example:
        >>> new: NewCheckpoint = {"session_id": "sess_abc123", "data": {"turn": 2}}
        >>> await manager.save_checkpoints([new])
        ['ckpt_...']
    """

    session_id: str
    data: dict[str, Any]
    checkpoint_id: NotRequired[str | None]
    pin: NotRequired[bool]
