"""Models of a check of the store: damage and findings."""

from enum import StrEnum

from pydantic import BaseModel


class Damage(StrEnum):
    """Kinds of damage. The first ten can be repaired: a repair removes nothing that anybody could read.

    Example:
        >>> [finding async for finding in manager.scrub() if finding.damage is Damage.GHOST]
        []
    """

    GHOST = "ghost"
    """An index lists a session that is gone, or belongs to another owner.

    Repair: take it out of the index.
    """
    ORPHAN = "orphan"
    """A session, or checkpoints, that no index and no open deletion lists. Repair: remove it. It is never
    listed again, for it may have been deleted."""
    UNLISTED = "unlisted"
    """The expiry index lacks a live session, or a list of revoked sets lacks one. Repair: add it."""
    NO_TTL = "no_ttl"
    """A key would stay for ever. Repair: set its time to live."""
    EXPIRY = "expiry"
    """A time to live or a score is not the session's expiry. Repair: set it to the session's expiry."""
    PINS = "pins"
    """The number of pins is wrong, or a checkpoint that is gone is pinned. Repair: count again."""
    SIZE = "size"
    """The stored size of the metadata is wrong. Repair: count again."""
    CHECKPOINTS = "checkpoints"
    """A checkpoint without data, or data that the order does not list. Repair: remove it."""
    CHUNKS = "chunks"
    """A chunk that no checkpoint names, or a wrong count of those that do. Repair: remove it; count again."""
    REVOKED = "revoked"
    """A revoked set whose job is gone. Repair: remove it, with its sessions."""
    CORRUPT = "corrupt"
    """A value that cannot be read. Left to people, except an expiry that the indexes still hold."""
    WRONG_TYPE = "wrong_type"
    """A key of the wrong type. Left to people."""
    UNKNOWN = "unknown"
    """A key in the namespace that this package does not use. Left to people."""


class Finding(BaseModel):
    """One case of damage.

    Example:
        >>> left = [finding async for finding in manager.scrub(repair=True) if not finding.repaired]
    """

    damage: Damage
    key: str
    """The damaged key in Redis."""
    detail: str
    """The damaged member, field or checkpoint of the key, or a description of the damage."""
    repaired: bool = False
    """True if the check has repaired the damage."""
