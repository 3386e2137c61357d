"""Methods of `SessionManager` that look after the store as a whole."""

from agent_runtime.manager.integrity.scrubber import Checkup
from agent_runtime.manager.methods.context import ManagerBase


class IntegrityMethods(ManagerBase):
    """The check of a store."""

    def checkup(self, *, repair: bool = False) -> Checkup:
        """Walks the whole store and yields what is wrong with it, while others work on it.

        It goes at the pace of bulk work. With `repair`, it mends what it can without losing anything that
        could be read; what it leaves to people has `mended=False`.

        Example:
            >>> async for finding in manager.checkup():
            ...     print(finding.damage, finding.key)
        """
        return Checkup(self._store, self._partitions, self.ledger, self._vault, self.settings, repair=repair)
