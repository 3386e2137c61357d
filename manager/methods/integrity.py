"""Methods of `SessionManager` that look after the store as a whole."""

from agent_runtime.manager.integrity.scrubber import StoreScrubber
from agent_runtime.manager.methods.context import ManagerBase


class IntegrityMethods(ManagerBase):
    """The check of a store."""

    def scrub(self, *, repair: bool = False) -> StoreScrubber:
        """Walks the whole store and yields what is wrong with it, while others work on it.

        It goes at the pace of bulk work. With `repair`, it mends what it can without losing anything that
        could be read; what it leaves to people has `mended=False`.

        Example:
            >>> async for finding in manager.scrub():
            ...     print(finding.damage, finding.key)
        """
        return StoreScrubber(
            self._client, self._partitions, self.jobs, self._key_provider, self.settings, repair=repair
        )
