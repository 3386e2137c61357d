"""The layout of the store, noted in the store itself at its first use: whoever comes with another is refused.

A process with another number of partitions would look for sessions in the wrong place: it would count, delete
and prove less than there is. A process with another key under the same id writes what others cannot read.
"""

from agent_runtime.manager.encryption.providers import KeyProvider
from agent_runtime.manager.errors import LayoutError
from agent_runtime.manager.keys import Partitions
from agent_runtime.manager.scripts.layout import CallScript, agree_layout
from agent_runtime.manager.settings import ENV_PREFIX, Settings

#: Version of the data in Redis: of the keys and of what lies under them.
_FORMAT = 1

#: How long a layout is kept after a process last began to use the store, milliseconds (400 days).
_KEPT_MS = 400 * 86_400_000

#: Beginning of the field of each key of the ring.
_KEY = "key "


class Layout:
    """What all processes on a store have to agree on.

    Args:
        settings: of this process.
        key_provider: knows the keys of this process.
    """

    def __init__(self, settings: Settings, partitions: Partitions, key_provider: KeyProvider) -> None:
        self._home = partitions.home
        self._namespace = settings.namespace
        keys = {_KEY + key_id: digest for key_id, digest in key_provider.digests().items()}
        self._own = {"format": str(_FORMAT), "partitions": str(settings.partitions), **keys}

    async def agree(self, call: CallScript) -> None:
        """Note the layout, if this process is the first on the store.

        Raises:
            LayoutError: the store was begun with another layout.
        """
        differing = await agree_layout(call, self._home, self._own, kept_ms=_KEPT_MS)
        if differing:
            raise LayoutError(
                f"the store with the namespace {self._namespace!r} was begun otherwise, so nothing was done: "
                + "; ".join(self._difference(*field) for field in differing.items())
            )

    def _difference(self, field: str, noted: str) -> str:
        own = self._own[field]
        if field == "partitions":
            return f"it has {noted} partitions, and {ENV_PREFIX}PARTITIONS is {own}"
        if field == "format":
            return f"its data has format {noted}, and this version of the package reads format {own}"
        key_id = field.removeprefix(_KEY)
        return f"the key {key_id!r} of {ENV_PREFIX}ENCRYPTION_KEYS is not the one that others use"
