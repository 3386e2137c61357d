"""Methods of `SessionManager` on the keys of users."""

from agent_runtime.manager.methods.context import ManagerBase


class KeyMethods(ManagerBase):
    """Where each user has a key (`user_keys_url`), erasing it makes what it sealed unreadable."""

    async def erase_user_key(self, user_id: str) -> bool:
        """Erases the key of a user: what it sealed cannot be read any more, nor can any copy of it.

        The sessions stay where they are, so delete them as well, best before: a session that is sealed under
        an erased key takes nothing more. A session that the user begins later has a new key.

        Returns:
            Whether the user had a key.

        Raises:
            SettingsError: `user_keys_url` is not set (a `ValueError`).
            StoreError: it is not known to be erased; call again.

        Example:
            >>> await manager.delete_user_sessions("user_123")
            3
            >>> await manager.erase_user_key("user_123")
            True
        """
        self._check_id("user_id", user_id)
        with self._revoking(user_id=user_id):
            return await self._key_provider.erase_user_key(user_id)
