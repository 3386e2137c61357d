"""Specification of sessions and checkpoints, as plain objects in memory.

The model has no clock: it is told the times that the server chose, and which sessions have expired.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_runtime.manager import Session

OWNER = {"user": "user_id", "agent": "agent_id"}

#: Stands for a time that the server chose and the model does not know yet.
NOT_KNOWN = datetime.max.replace(tzinfo=UTC)


@dataclass
class ModelCheckpoint:
    """A checkpoint of a session."""

    checkpoint_id: str
    data: dict[str, Any]
    pinned: bool
    created_at: datetime = NOT_KNOWN


@dataclass(eq=False)
class ModelSession:
    """A session, live or ended."""

    session_id: str
    user_id: str
    agent_id: str
    created_at: datetime
    expires_at: datetime
    metadata: dict[str, Any]
    partition: int
    #: Oldest first.
    checkpoints: list[ModelCheckpoint] = field(default_factory=list)
    #: False once the session has expired, was deleted, or was reclaimed.
    exists: bool = True
    #: True if the session has expired and no sweep has seen it yet.
    unswept: bool = False
    #: The deletions that have revoked the session: of its 'user', of its 'agent'.
    revoked: dict[str, Any] = field(default_factory=dict)
    #: Count of events at which its user and its agent came to own the session.
    since: dict[str, int] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        return self.exists and not self.revoked

    def is_of(self, whose: str, owner: str) -> bool:
        return bool(getattr(self, OWNER[whose]) == owner)

    def in_order(self) -> tuple[int, str]:
        """Return the sort key by expiry: next to expire first."""
        return expiry_ms(self), self.session_id

    def public(self) -> Session:
        """Return the session as a caller sees it."""
        return Session(
            session_id=self.session_id,
            user_id=self.user_id,
            agent_id=self.agent_id,
            created_at=self.created_at,
            expires_at=self.expires_at,
            metadata=dict(self.metadata),
        )

    def checkpoint(self, checkpoint_id: str) -> ModelCheckpoint | None:
        return next((each for each in self.checkpoints if each.checkpoint_id == checkpoint_id), None)

    def due(self, keep_last: int | None, oldest: datetime | None) -> list[ModelCheckpoint]:
        """Return checkpoints that a policy no longer keeps. The newest and pinned ones always stay."""
        over = 0 if keep_last is None else len(self.checkpoints) - keep_last
        if oldest is not None:
            over = max(over, sum(each.created_at < oldest for each in self.checkpoints))
        return [each for each in self.checkpoints[:-1][: max(over, 0)] if not each.pinned]


def expiry_ms(session: ModelSession) -> int:
    return round(session.expires_at.timestamp() * 1000)


def metadata_size(metadata: dict[str, Any]) -> int:
    """Return the bytes that count against the limit: each value with its format byte."""
    return sum(len(key.encode()) + 1 + len(_json(value).encode()) for key, value in metadata.items())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Limits:
    """The settings that decide which calls are refused and which checkpoints are dropped."""

    partitions: int
    max_sessions: int
    max_checkpoints: int | None
    max_metadata_bytes: int

    def share(self, partition: int) -> int:
        """Return the number of sessions that a partition may hold."""
        return self.max_sessions // self.partitions + (partition < self.max_sessions % self.partitions)


class Model:
    """All sessions of one namespace."""

    def __init__(self, limits: Limits, partition_of: dict[str, int]) -> None:
        self.limits = limits
        self.partition_of = partition_of
        self.sessions: dict[str, ModelSession] = {}
        self.clock = 0

    def find(self, session_id: str) -> ModelSession | None:
        """Return the session if it is live."""
        session = self.sessions.get(session_id)
        return session if session is not None and session.live else None

    def live(self, **owner: str) -> list[ModelSession]:
        """Return live sessions, of a user_id or an agent_id if one is given."""
        return [
            each
            for each in self.sessions.values()
            if each.live and all(getattr(each, name) == value for name, value in owner.items())
        ]

    def existing(self, partition: int | None = None) -> list[ModelSession]:
        return [
            each
            for each in self.sessions.values()
            if each.exists and (partition is None or each.partition == partition)
        ]

    def count(self) -> int:
        """Count all live sessions; too low by the sessions shared by open deletions of a user and an
        agent."""
        counts = []
        for partition in range(self.limits.partitions):
            existing = self.existing(partition)
            shared = sum(len(each.revoked) == 2 for each in existing)
            counts.append(max(0, sum(each.live for each in existing) - shared))
        return sum(counts)

    def room(self, user_id: str) -> int:
        """Return the number of sessions that may still be created in the partition of this user."""
        partition = self.partition_of[user_id]
        return self.limits.share(partition) - len(self.existing(partition))

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def create(self, created: Session, metadata: dict[str, Any]) -> None:
        moment = self.tick()
        self.sessions[created.session_id] = ModelSession(
            created.session_id,
            created.user_id,
            created.agent_id,
            created.created_at,
            created.expires_at,
            dict(metadata),
            self.partition_of[created.user_id],
            since={"user": moment, "agent": moment},
        )

    def hand_over(self, session: ModelSession, agent_id: str) -> None:
        if agent_id != session.agent_id:
            session.agent_id = agent_id
            session.since["agent"] = self.tick()

    def too_large(self, metadata: dict[str, Any]) -> bool:
        return metadata_size(metadata) > self.limits.max_metadata_bytes

    def end(self, session: ModelSession) -> None:
        """End a deleted or reclaimed session: nothing of it is left."""
        session.exists = session.unswept = False
        session.revoked.clear()

    def run_out(self, session: ModelSession, expired_at: datetime) -> None:
        """Let the session expire: its indexes still list it until a sweep comes."""
        session.exists, session.unswept, session.expires_at = False, True, expired_at

    def unswept(self) -> list[ModelSession]:
        """Return the sessions that a sweep will find, in its order."""
        found = (each for each in self.sessions.values() if each.unswept)
        return sorted(found, key=lambda each: (each.partition, *each.in_order()))

    def sweep(self, count: int) -> None:
        for session in self.unswept()[:count]:
            session.unswept = False

    def save(self, session: ModelSession, checkpoint: ModelCheckpoint) -> None:
        session.checkpoints.append(checkpoint)
        most = self.limits.max_checkpoints
        if most is not None:
            unpinned = [each for each in session.checkpoints if not each.pinned]
            over = max(0, len(unpinned) - most)
            self.remove(session, [each for each in unpinned if each is not checkpoint][:over])

    def remove(self, session: ModelSession, checkpoints: Iterable[ModelCheckpoint]) -> None:
        gone = {each.checkpoint_id for each in checkpoints}
        session.checkpoints = [each for each in session.checkpoints if each.checkpoint_id not in gone]

    def age(self, session: ModelSession, count: int, by: timedelta) -> None:
        """Make the oldest checkpoints older than they are."""
        for checkpoint in session.checkpoints[:count]:
            checkpoint.created_at -= by
