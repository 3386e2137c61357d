"""Methods of `SessionManager` that look after the store as a whole."""

from agent_runtime.manager.integrity.scrubber import StoreScrubber
from agent_runtime.manager.methods.context import Facet


class IntegrityMethods(Facet):
    """Checks and repairs a store."""

    def scrub(self, *, repair: bool = False) -> StoreScrubber:
        """Walk the whole store and yield what is wrong with it, while others work on it.

        The walk goes at the pace of bulk work.

        Args:
            repair: True to mend what can be mended without losing anything that could be read. A finding that
                is left to people has `mended=False`.

        Returns:
            A walk to iterate over; see `StoreScrubber`.

        Example:
            >>> async for finding in manager.scrub():
            ...     print(finding.damage, finding.key)
        """
        context = self._context
        return StoreScrubber(
            context.client,
            context.partitions,
            context.jobs,
            context.key_provider,
            context.settings,
            repair=repair,
        )
