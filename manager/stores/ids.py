"""Ids of callers: checked, and the partition found that each belongs to."""

from agent_runtime.manager.keys import Keys, Partitions
from agent_runtime.manager.validation import check_id


class Ids:
    """Checks ids and finds keys. Each method raises `InvalidArgumentError` if an id is not acceptable."""

    def __init__(self, partitions: Partitions, max_id_bytes: int) -> None:
        self._partitions = partitions
        self._max_id_bytes = max_id_bytes

    def check(self, name: str, value: object) -> str:
        """Return an id. The error names the argument."""
        return check_id(name, value, self._max_id_bytes)

    def keys_of_session(self, session_id: object) -> Keys:
        """Return the keys of the partition that a session lies in."""
        return self._partitions.of_session(check_id("session_id", session_id, self._max_id_bytes))

    def keys_of_user(self, user_id: object) -> Keys:
        """Return the keys of the partition that a user's sessions lie in."""
        return self._partitions.of_user(check_id("user_id", user_id, self._max_id_bytes))
