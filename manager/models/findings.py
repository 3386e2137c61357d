"""What a check can find."""

from enum import StrEnum

from pydantic import BaseModel


class Damage(StrEnum):
    """What is wrong. The first ten can be mended; what they lose could be read by nobody."""

    GHOST = "ghost"
    """An index lists a session that is gone, or is another's. Mended: taken out."""
    ORPHAN = "orphan"
    """A session, or checkpoints, that no index and no open deletion lists. Mended: removed, never listed
    again, for it may have been deleted."""
    UNLISTED = "unlisted"
    """The expiry index lacks a live session, or a list of open deletions lacks one. Mended: put in."""
    NO_TTL = "no_ttl"
    """A key would stay for ever. Mended: it gets its time to live."""
    EXPIRY = "expiry"
    """A time to live or a score is not the session's expiry. Mended: set to what the session says."""
    PINS = "pins"
    """The number of pins is wrong, or a checkpoint that is gone is pinned. Mended: counted again."""
    SIZE = "size"
    """The size of the metadata is wrong. Mended: counted again."""
    CHECKPOINTS = "checkpoints"
    """A checkpoint without data, or data that the order does not list. Mended: taken out."""
    CHUNKS = "chunks"
    """A chunk that no checkpoint names, or a wrong count of those that do. Mended: removed; counted again."""
    REVOKED = "revoked"
    """What a deletion took away, and its job is gone. Mended: removed, with its sessions."""
    CORRUPT = "corrupt"
    """A value that cannot be read. Left to people, but for an expiry that the indexes still know."""
    WRONG_TYPE = "wrong_type"
    """A key of another type than it should be. Left to people."""
    UNKNOWN = "unknown"
    """A key in the namespace that is none of ours. Left to people."""


class Finding(BaseModel):
    """One thing that is wrong."""

    damage: Damage
    key: str
    about: str
    """Which member, field or checkpoint of the key, or what is wrong with it."""
    mended: bool = False
