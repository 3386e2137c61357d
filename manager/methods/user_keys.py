"""Methods of `SessionManager` on the keys of users."""

from agent_runtime.manager.methods.context import Facet


class KeyMethods(Facet):
    """Erases the keys of users, if users have keys (`user_keys_url`)."""

    async def erase_user_key(self, user_id: str) -> bool:
        """Erase the key of a user: nobody can read what it encrypted any more, in the store or in a copy.

        The sessions stay in the store, so delete them as well, best before this call: a session encrypted
        under an erased key takes no further value. A session that the user begins later has a new key.

        Returns:
            True if the user had a key.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).
            SettingsError: `user_keys_url` is not set (a `ValueError`).
            StoreError: the key may not be erased; call again.

        Example:
            >>> await manager.delete_user_sessions("user_123")
            3
            >>> await manager.erase_user_key("user_123")
            True
        """
        context = self._context
        context.ids.check("user_id", user_id)
        with context.copies.revoking(user_id=user_id):
            return await context.key_provider.erase_user_key(user_id)
