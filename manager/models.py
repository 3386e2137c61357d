"""What callers get back."""

from datetime import UTC, datetime, timedelta
from typing import Any, NotRequired, TypedDict

from pydantic import BaseModel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_microseconds(moment_us: int) -> datetime:
    """The exact moment, in UTC (`datetime.fromtimestamp` would round through a float)."""
    return _EPOCH + timedelta(microseconds=moment_us)


class Session(BaseModel):
    """A user talking to an agent, until `expires_at`. Moments are in UTC, by the server's clock."""

    session_id: str
    user_id: str
    agent_id: str
    created_at: datetime
    expires_at: datetime
    metadata: dict[str, Any] = {}


class Checkpoint(BaseModel):
    """The state of a conversation at one moment."""

    checkpoint_id: str
    session_id: str
    data: dict[str, Any]
    created_at: datetime


class NewSession(TypedDict):
    """An entry of `create_sessions`: the arguments of `create_session`."""

    user_id: str
    agent_id: str
    metadata: NotRequired[dict[str, Any] | None]
    session_id: NotRequired[str | None]


class NewCheckpoint(TypedDict):
    """An entry of `save_checkpoints`: the arguments of `save_checkpoint`."""

    session_id: str
    data: dict[str, Any]
    checkpoint_id: NotRequired[str | None]
    pin: NotRequired[bool]
