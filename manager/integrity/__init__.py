"""The check of a whole store: find what should not be there and mend it, while others work on it."""

from agent_runtime.manager.integrity.scrubber import StoreScrubber
from agent_runtime.manager.models.findings import Damage, Finding

__all__ = ["Damage", "Finding", "StoreScrubber"]
