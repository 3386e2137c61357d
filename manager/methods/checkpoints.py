"""Methods of `SessionManager` on checkpoints."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from agent_runtime.manager.chunks.chunk_cache import Opened
from agent_runtime.manager.chunks.chunker import cut
from agent_runtime.manager.chunks.recipe import names_of
from agent_runtime.manager.codec import (
    checkpoint_json,
    encrypt_checkpoint,
    encrypt_recipe,
    packed,
    to_checkpoint,
)
from agent_runtime.manager.encryption.sealing import IN_THE_CLEAR, NO_KEYS, Encryptor
from agent_runtime.manager.errors import SessionNotFoundError
from agent_runtime.manager.keys import Keys, new_checkpoint_id
from agent_runtime.manager.methods.context import ManagerBase
from agent_runtime.manager.scripts import checkpoints as scripts
from agent_runtime.manager.skip_corrupt import SkipCorrupt
from agent_runtime.manager.validation import check_flag

#: One page of a listing ends after so many checkpoints or so many bytes.
_PAGE, _PAGE_BYTES = 200, 1_048_576


class Planned(NamedTuple):
    """A checkpoint that is to be saved."""

    keys: Keys
    session_id: str
    checkpoint_id: str
    data: dict[str, Any]
    #: The data as JSON.
    plain: bytes
    pin: bool


class CheckpointMethods(ManagerBase):
    """Checkpoints: each method is one round trip (a listing, one per megabyte)."""

    async def save_checkpoint(
        self,
        session_id: str,
        data: dict[str, Any],
        *,
        checkpoint_id: str | None = None,
        pin: bool = False,
    ) -> str:
        """Adds a checkpoint to a session and returns its id.

        Where the setting `max_checkpoints` is given, the oldest beyond it that are not pinned go in the
        same step.

        Args:
            session_id: a live session.
            data: a JSON object up to `max_checkpoint_bytes`.
            checkpoint_id: an id of the caller's own, for one who may have to make the call again. Where the
                session has a checkpoint with this id already, that stays as it is.
            pin: whether to pin it, as `pin_checkpoint` does.

        Raises:
            SessionNotFoundError: the session is not live (a `ValueError`).
            InvalidArgumentError: `data` is not acceptable (a `ValueError`); nothing was written.

        Example:
            >>> checkpoint_id = await manager.save_checkpoint("sess_abc123", {"turn": 1, "history": []})
        """
        return await self._save(self._new_checkpoint(session_id, data, checkpoint_id, pin))

    async def get_checkpoint(self, session_id: str, checkpoint_id: str) -> dict[str, Any] | None:
        """A checkpoint as a dictionary with `checkpoint_id`, `session_id`, `data` and `created_at`.

        Example:
            >>> checkpoint = await manager.get_checkpoint("sess_abc123", "ckpt_xyz789")
        """
        return await self._get_checkpoint(session_id, self._check_id("checkpoint_id", checkpoint_id))

    async def get_latest_checkpoint(self, session_id: str) -> dict[str, Any] | None:
        """The newest checkpoint of a session; None where it has none or is not live.

        Example:
            >>> checkpoint = await manager.get_latest_checkpoint("sess_abc123")
        """
        return await self._get_checkpoint(session_id, "")

    async def list_checkpoints(self, session_id: str) -> list[dict[str, Any]]:
        """All checkpoints of a session, oldest first; fewer than 200 and a megabyte as at one moment.

        What cannot be read is left out; the log tells it.

        Example:
            >>> for checkpoint in await manager.list_checkpoints("sess_abc123"):
            ...     print(checkpoint["checkpoint_id"], checkpoint["created_at"])
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        found: list[dict[str, Any]] = []
        after_us, listing = 0.0, SkipCorrupt()
        while True:
            page = await scripts.list_checkpoints(
                self._client, keys, session_id, after_us=after_us, limit=_PAGE, max_bytes=_PAGE_BYTES
            )
            decryptor = await self._key_provider.decryptor(page.values())
            found += listing.readable(
                page.checkpoints, partial(to_checkpoint, session_id, decryptor=decryptor)
            )
            if len(page.checkpoints) < _PAGE and page.size < _PAGE_BYTES:
                return found
            after_us = page.checkpoints[-1].created_us

    async def pin_checkpoint(self, session_id: str, checkpoint_id: str) -> bool:
        """Pins a checkpoint: no pruning and no bound removes it, only a deletion or the session's end.

        Returns:
            Whether there is such a checkpoint in a live session; it may have been pinned already.

        Example:
            >>> await manager.pin_checkpoint("sess_abc123", "ckpt_xyz789")
            True
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        self._check_id("checkpoint_id", checkpoint_id)
        return await scripts.pin_checkpoint(self._client, keys, session_id, checkpoint_id)

    async def unpin_checkpoint(self, session_id: str, checkpoint_id: str) -> bool:
        """Takes the pin off a checkpoint, which stays until a pruning or the bound removes it.

        Returns:
            Whether there is such a checkpoint in a live session; it may not have been pinned.

        Example:
            >>> await manager.unpin_checkpoint("sess_abc123", "ckpt_xyz789")
            True
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        self._check_id("checkpoint_id", checkpoint_id)
        return await scripts.unpin_checkpoint(self._client, keys, session_id, checkpoint_id)

    async def pinned_checkpoints(self, session_id: str) -> list[str]:
        """Ids of the pinned checkpoints of a session, oldest first.

        Example:
            >>> await manager.pinned_checkpoints("sess_abc123")
            ['ckpt_xyz789']
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        return await scripts.list_pins(self._client, keys, session_id)

    async def delete_checkpoint(self, session_id: str, checkpoint_id: str) -> bool:
        """Deletes one checkpoint, pinned or not; False where there is none.

        Example:
            >>> await manager.delete_checkpoint("sess_abc123", "ckpt_xyz789")
            True
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        self._check_id("checkpoint_id", checkpoint_id)
        return await scripts.delete_checkpoint(self._client, keys, session_id, checkpoint_id)

    async def clear_checkpoints(self, session_id: str) -> int:
        """Deletes all checkpoints of a session, pinned or not; how many there were.

        Example:
            >>> await manager.clear_checkpoints("sess_abc123")
            3
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        self._chunk_index.opened.forget(session_id)
        return await scripts.clear_checkpoints(self._client, keys, session_id)

    def _new_checkpoint(
        self, session_id: str, data: dict[str, Any], checkpoint_id: str | None, pin: bool
    ) -> Planned:
        """A checkpoint to be saved, once its arguments are checked."""
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        check_flag("pin", pin)
        if checkpoint_id is None:
            checkpoint_id = new_checkpoint_id()
        self._check_id("checkpoint_id", checkpoint_id)
        plain = checkpoint_json(data, self.settings.max_checkpoint_bytes)
        return Planned(keys, session_id, checkpoint_id, data, plain, pin)

    async def _save(self, new: Planned) -> str:
        save = partial(
            scripts.save_checkpoint,
            self._client,
            new.keys,
            new.session_id,
            new.checkpoint_id,
            pin=new.pin,
            max_unpinned=self.settings.max_checkpoints,
        )
        encryptor = await self._key_provider.encryptor_of(new.keys, new.session_id)
        live = None
        if len(new.plain) > self.settings.dedupe_above_bytes:
            live = await self._save_in_chunks(save, new, encryptor)
        if live is None:
            value = packed(new.plain, self.settings.compress_above_bytes)
            live = await save(encrypt_checkpoint(new.checkpoint_id, value, encryptor))
        if not live:
            raise self._not_live(new.session_id)
        await encryptor.confirm()
        return new.checkpoint_id

    def _not_live(self, session_id: str) -> SessionNotFoundError:
        return SessionNotFoundError(f"session {session_id!r} does not exist or is not live")

    async def _get_checkpoint(self, session_id: str, checkpoint_id: str) -> dict[str, Any] | None:
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        known = self._chunk_index.opened.of(session_id)
        page = await scripts.get_checkpoint(self._client, keys, session_id, checkpoint_id, known)
        if not page.checkpoints:
            return None
        [stored] = page.checkpoints
        decryptor = self._key_provider.decryptor_at_hand() or await self._key_provider.decryptor(
            page.values()
        )
        found = to_checkpoint(session_id, stored, decryptor)
        if stored.opened and not checkpoint_id and stored.head not in ("", known.head):
            texts = {name: stored.opened[name] for place in names_of(stored.head) for name in place}
            self._chunk_index.has_read(
                session_id, Opened(stored.head, texts), in_the_clear=decryptor is NO_KEYS
            )
        return found

    async def _save_in_chunks(
        self, save: Callable[..., Awaitable[bool | None]], new: Planned, encryptor: Encryptor
    ) -> bool | None:
        """Whether the session was live; None where the checkpoint is not made of chunks.

        What this process knows may be gone meanwhile. Then nothing was written, and all is sent.
        """
        for _ in range(2):
            recipe = cut(new.data, new.plain, *self._chunk_index.of(new.session_id))
            if recipe is None:
                return None
            value, chunks = encrypt_recipe(
                new.checkpoint_id, recipe, encryptor, self.settings.compress_above_bytes
            )
            live = await save(value, chunks=chunks)
            if live:
                self._chunk_index.has_saved(new.session_id, recipe, in_the_clear=encryptor is IN_THE_CLEAR)
            else:
                self._chunk_index.has_not_saved(new.session_id)
            if live is not None:
                return live
        return None
