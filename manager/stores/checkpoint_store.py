"""Checkpoints in Redis, one or many at a time. A single checkpoint is a batch of one."""

from collections.abc import Awaitable, Sequence
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
from agent_runtime.manager.encryption.providers import KeyProvider
from agent_runtime.manager.encryption.sealing import IN_THE_CLEAR, NO_KEYS, Encryptor
from agent_runtime.manager.errors import AgentSessionsError, SessionNotFoundError
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.new_ids import new_checkpoint_id
from agent_runtime.manager.scripts import checkpoints as scripts
from agent_runtime.manager.scripts.checkpoints import EncodedCheckpoint
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.stores.ids import Ids
from agent_runtime.manager.stores.local_copies import LocalCopies
from agent_runtime.manager.stores.outcomes import outcome_of, result_of
from agent_runtime.manager.transport.script_client import ScriptClient
from agent_runtime.manager.validation import check_flag

#: What a script says of a save: True if the session was live; None if a chunk was missing.
Answer = bool | AgentSessionsError | None


class PlannedCheckpoint(NamedTuple):
    """A checkpoint to be saved, whose arguments were checked."""

    keys: Keys
    session_id: str
    checkpoint_id: str
    data: dict[str, Any]
    #: The data as JSON.
    plain: bytes
    pin: bool
    #: None if its key has to be asked for, or if it may share chunks.
    encoded: EncodedCheckpoint | None


class CheckpointStore:
    """Saves and reads checkpoints."""

    def __init__(
        self,
        client: ScriptClient,
        ids: Ids,
        key_provider: KeyProvider,
        copies: LocalCopies,
        settings: Settings,
    ) -> None:
        self._client = client
        self._ids = ids
        self._key_provider = key_provider
        self._copies = copies
        self._chunk_index = copies.chunk_index
        self._settings = settings

    def plan(
        self, session_id: str, data: dict[str, Any], checkpoint_id: str | None = None, pin: bool = False
    ) -> PlannedCheckpoint:
        """Check the arguments of a save.

        Raises:
            InvalidArgumentError: an argument is not acceptable.
        """
        keys = self._ids.keys_of_session(session_id)
        check_flag("pin", pin)
        if checkpoint_id is None:
            checkpoint_id = new_checkpoint_id()
        else:
            self._ids.check("checkpoint_id", checkpoint_id)
        plain = checkpoint_json(data, self._settings.max_checkpoint_bytes)
        encoded = None
        if len(plain) <= self._settings.dedupe_above_bytes:
            encryptor = self._key_provider.encryptor_at_hand(session_id)
            if encryptor is not None:
                encoded = self._encode(session_id, checkpoint_id, plain, pin, encryptor)
        return PlannedCheckpoint(keys, session_id, checkpoint_id, data, plain, pin, encoded)

    async def save(self, new: PlannedCheckpoint) -> str:
        """Save one checkpoint, and return its id. Raises as `SessionManager.save_checkpoint`."""
        if new.encoded is not None:
            [answer] = await self._send(new.keys, [new.encoded])
            return new.checkpoint_id if answer is True else self._saved(new, answer)
        encryptor = await self._key_provider.encryptor_of(new.keys, new.session_id)
        answer = None
        if len(new.plain) > self._settings.dedupe_above_bytes:
            answer = await self._save_in_chunks(new, encryptor)
        if answer is None:
            encoded = self._encode(new.session_id, new.checkpoint_id, new.plain, new.pin, encryptor)
            [answer] = await self._send(new.keys, [encoded])
        checkpoint_id = self._saved(new, answer)
        await encryptor.confirm()
        return checkpoint_id

    async def save_page(self, keys: Keys, new: Sequence[PlannedCheckpoint]) -> list[str | AgentSessionsError]:
        """Save some encoded checkpoints of one partition with one script; those of one session in order."""
        answers = await self._send(keys, [each.encoded for each in new if each.encoded])
        return [outcome_of(self._saved, *each) for each in zip(new, answers, strict=True)]

    async def read(self, session_id: str, checkpoint_id: str) -> dict[str, Any] | None:
        """Read a checkpoint, or with '' the newest. Return the fields of `Checkpoint`, or None if there is
        none.

        Raises:
            CorruptDataError: the checkpoint cannot be read.
        """
        keys = self._ids.keys_of_session(session_id)
        since, known = self._chunk_index.opened.now(), self._chunk_index.opened.of(session_id)
        page = await scripts.get_checkpoint(self._client, keys, session_id, checkpoint_id, known)
        if not page.checkpoints:
            if not checkpoint_id:
                self._copies.found_gone(session_id)
            return None
        [stored] = page.checkpoints
        decryptor = self._key_provider.decryptor_at_hand() or await self._key_provider.decryptor(
            page.values()
        )
        found = to_checkpoint(session_id, stored, decryptor)
        if stored.opened and not checkpoint_id and stored.head not in ("", known.head):
            texts = {name: stored.opened[name] for place in names_of(stored.head) for name in place}
            self._chunk_index.has_read(
                session_id, Opened(stored.head, texts), in_the_clear=decryptor is NO_KEYS, since=since
            )
        return found

    def _encode(
        self, session_id: str, checkpoint_id: str, plain: bytes, pin: bool, encryptor: Encryptor
    ) -> EncodedCheckpoint:
        """Return a checkpoint as one stored value."""
        value = packed(plain, self._settings.compress_above_bytes)
        data = encrypt_checkpoint(checkpoint_id, value, encryptor)
        return EncodedCheckpoint(session_id, checkpoint_id, data, pin)

    async def _save_in_chunks(self, new: PlannedCheckpoint, encryptor: Encryptor) -> Answer:
        """Save a checkpoint that names chunks. Return None if it has nothing to share.

        Chunks that this process knows may be gone meanwhile. Then nothing was written, and all are sent.
        """
        for _ in range(2):
            since = self._chunk_index.opened.now()
            recipe = cut(new.data, new.plain, *self._chunk_index.of(new.session_id))
            if recipe is None:
                return None
            data, chunks = encrypt_recipe(
                new.checkpoint_id, recipe, encryptor, self._settings.compress_above_bytes
            )
            encoded = EncodedCheckpoint(new.session_id, new.checkpoint_id, data, new.pin, chunks)
            [answer] = await self._send(new.keys, [encoded])
            if answer is True:
                self._chunk_index.has_saved(
                    new.session_id, recipe, in_the_clear=encryptor is IN_THE_CLEAR, since=since
                )
            else:
                self._chunk_index.has_not_saved(new.session_id)
            if answer is not None:
                return answer
        return None

    def _send(self, keys: Keys, new: Sequence[EncodedCheckpoint]) -> Awaitable[Sequence[Answer]]:
        return scripts.save_checkpoints(self._client, keys, new, max_unpinned=self._settings.max_checkpoints)

    def _saved(self, new: PlannedCheckpoint, answer: Answer) -> str:
        """Return the id of a checkpoint that is saved now, or raise why it is not."""
        if not result_of(answer):
            self._copies.found_gone(new.session_id)
            raise SessionNotFoundError(f"session {new.session_id!r} does not exist or is not live")
        return new.checkpoint_id
