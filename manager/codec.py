"""Metadata and checkpoints to bytes and back, exactly.

A stored value is one format byte and a payload:

    j   JSON in UTF-8
    z   JSON in UTF-8, compressed in zlib's format
    e   a stored value, encrypted under a key of the ring (see encryption/)
    u   a stored value, encrypted under its user's own key
    p   a recipe: which chunks, a line feed, and a stored value of the JSON around them (see chunks.py)

A checkpoint is one such value, and so is each value of the metadata. Encryption is the outermost layer, but
for recipes: scripts have to know of which chunks a checkpoint is made. A chunk is a stored value of its own,
of items in JSON with a byte 255 between each two; a recipe's JSON has one where chunks go.
"""

from collections.abc import Iterator
from typing import Any

from isal import isal_zlib
from pydantic import JsonValue, TypeAdapter, ValidationError

from agent_runtime.manager.chunks.recipe import RECIPE, Recipe, joined
from agent_runtime.manager.encryption.sealing import (
    CHECKPOINT,
    CHUNK,
    CHUNKED_CHECKPOINT,
    METADATA,
    CannotDecryptError,
    Decryptor,
    Encryptor,
)
from agent_runtime.manager.errors import CorruptDataError, DecryptionError, InvalidArgumentError
from agent_runtime.manager.json_text import as_json, from_json_text, is_plain, plain_json
from agent_runtime.manager.models.sessions import Session, from_microseconds, session_of
from agent_runtime.manager.scripts.checkpoints import StoredCheckpoint
from agent_runtime.manager.scripts.replies import StoredSession
from agent_runtime.manager.transport.error_mapping import damage_told_by
from agent_runtime.manager.validation import LARGEST_CHECKPOINT

_PLAIN, _ZLIB = b"j", b"z"

#: Levels of ISA-L, which writes and reads zlib's format, and quickly. What is up
#: to so many bytes is written on every turn, and read as often: it gets the level that costs least.
_SHORT_BYTES, _SHORT_LEVEL, _LEVEL = 4_096, 0, 1

_JSON_OBJECT = TypeAdapter(dict[str, JsonValue])


def _dump(name: str, value: Any) -> bytes:
    try:
        return as_json(value)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{name} cannot be held as JSON: {error}") from error


def _check_json_object(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"{name} must be a dict, not {type(value).__name__}")
    if is_plain(value):
        return
    try:
        _JSON_OBJECT.validate_python(value, strict=True)  # lax, it would take bytes for text
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise InvalidArgumentError(
            f"{name} cannot be held as JSON: at {place!r}: {problem['msg']}"
        ) from error
    except RecursionError as error:
        raise InvalidArgumentError(f"{name} cannot be held as JSON: nested too deeply") from error


def encode_metadata(metadata: object) -> list[bytes]:
    """Return names of fields in a session's hash and stored values, in turn and in the clear."""
    _check_json_object("metadata", metadata)
    assert isinstance(metadata, dict)  # noqa: S101  (checked one line up; for the type checker)
    fields: list[bytes] = []
    for key, value in metadata.items():
        try:
            fields += (b"m:" + key.encode(), _PLAIN + _dump("metadata", value))
        except UnicodeEncodeError as error:
            raise InvalidArgumentError(f"metadata key {key!r} must be valid Unicode") from error
    return fields


def metadata_copy(fields: list[bytes]) -> dict[str, Any]:
    """Return the metadata that `encode_metadata` was given, as readers will get it."""
    return {fields[i][2:].decode(): _load(fields[i + 1]) for i in range(0, len(fields), 2)}


def encrypt_metadata(fields: list[bytes], encryptor: Encryptor, max_bytes: int) -> list[bytes]:
    """Return the fields of `encode_metadata` as they are stored."""
    sealed = fields.copy()
    for i in range(0, len(fields), 2):
        sealed[i + 1] = encryptor.encrypt(METADATA, fields[i][2:], fields[i + 1])
    size = metadata_bytes(sealed)
    if size > max_bytes:
        raise InvalidArgumentError(
            f"metadata is {size} bytes as stored; the limit is {max_bytes} (max_metadata_bytes)"
        )
    return sealed


def metadata_bytes(fields: list[bytes]) -> int:
    """Return the size that counts against the limit: keys without their ``m:``, and values as stored."""
    return sum(map(len, fields)) - len(fields)  # "m:" is 2 bytes on every second entry


def metadata_values(fields: dict[bytes, bytes]) -> Iterator[bytes]:
    """Return the stored values of the metadata among the fields of a session's hash."""
    return (stored for field, stored in fields.items() if field.startswith(b"m:"))


def decode_metadata(session: StoredSession, decryptor: Decryptor) -> dict[str, Any]:
    """Return the metadata of a session. An error for an unreadable value names the key and the field."""
    metadata = {}
    name = b""
    try:
        for field, stored in session.fields.items():
            if field[:2] == b"m:":
                name = field[2:]
                metadata[name.decode()] = _load(decryptor.decrypt(session.session_id, METADATA, name, stored))
    except _UNREADABLE as error:
        raise _unreadable(f"metadata {name!r} at {session.key!r}", error) from error
    return metadata


def checkpoint_json(data: object, max_bytes: int) -> bytes:
    """Return the data as JSON."""
    plain = plain_json(data) if isinstance(data, dict) else None
    if plain is None:
        _check_json_object("data", data)
        plain = _dump("data", data)
    if len(plain) > max_bytes:
        raise InvalidArgumentError(
            f"data is {len(plain)} bytes as JSON; the limit is {max_bytes} (max_checkpoint_bytes)"
        )
    return plain


def packed(plain: bytes, compress_above_bytes: int) -> bytes:
    """Return JSON as a stored value in the clear."""
    if len(plain) > compress_above_bytes:
        return _ZLIB + isal_zlib.compress(plain, _SHORT_LEVEL if len(plain) <= _SHORT_BYTES else _LEVEL)
    return _PLAIN + plain


def encrypt_checkpoint(checkpoint_id: str, value: bytes, encryptor: Encryptor) -> bytes:
    """Return a value of `packed` as a checkpoint is stored."""
    return encryptor.encrypt(CHECKPOINT, checkpoint_id.encode(), value)


def encrypt_recipe(
    checkpoint_id: str, recipe: Recipe, encryptor: Encryptor, compress_above_bytes: int
) -> tuple[bytes, list[bytes]]:
    """Return a checkpoint as it is stored, and names and stored values of its new chunks in turn."""
    head = recipe.head.encode()
    around = encryptor.encrypt(
        CHUNKED_CHECKPOINT, _place(checkpoint_id, head), packed(recipe.literal, compress_above_bytes)
    )
    chunks: list[bytes] = []
    for name, text in recipe.fresh.items():
        # However short: there are many of them, and they last.
        value = min(_ZLIB + isal_zlib.compress(text, _LEVEL), _PLAIN + text, key=len)
        chunks += (name.encode(), encryptor.encrypt(CHUNK, name.encode(), value))
    return RECIPE + head + b"\n" + around, chunks


def _place(checkpoint_id: str, head: bytes) -> bytes:
    """Return the name under which a recipe's rest is encrypted, so that nobody can give it other chunks."""
    return checkpoint_id.encode() + b"\xff" + head


def decode_checkpoint(session_id: str, checkpoint: StoredCheckpoint, decryptor: Decryptor) -> dict[str, Any]:
    """Return the data that `checkpoint_json` was given. An error for unreadable data names key and id."""
    try:
        stored = checkpoint.data or b""
        if stored[:1] == RECIPE:
            data = from_json_text(_from_chunks(session_id, checkpoint, decryptor))
        else:
            name = checkpoint.checkpoint_id.encode()
            data = _load(decryptor.decrypt(session_id, CHECKPOINT, name, stored))
        if not isinstance(data, dict):
            raise ValueError(f"it is no JSON object but {type(data).__name__}")
    except _UNREADABLE as error:
        raise _unreadable(f"checkpoint {checkpoint.checkpoint_id!r} at {checkpoint.key!r}", error) from error
    return data


def _from_chunks(session_id: str, checkpoint: StoredCheckpoint, decryptor: Decryptor) -> bytes:
    """Return the JSON of a checkpoint that is a recipe."""
    head, _, around = (checkpoint.data or b"")[1:].partition(b"\n")
    sealed_as = _place(checkpoint.checkpoint_id, head)
    literal = _unpacked(
        decryptor.decrypt(session_id, CHUNKED_CHECKPOINT, sealed_as, around), LARGEST_CHECKPOINT
    )
    opened = {} if checkpoint.opened is None else checkpoint.opened
    room = LARGEST_CHECKPOINT
    for name, stored in checkpoint.chunks.items():
        if stored is not None and name not in opened:
            opened[name] = _unpacked(decryptor.decrypt(session_id, CHUNK, name.encode(), stored), room)
            room -= len(opened[name])
    return joined(head.decode(), literal, opened)


def to_session(stored: StoredSession, decryptor: Decryptor) -> Session:
    """Return the session that lies in Redis.

    Raises:
        CorruptDataError: it cannot be read.
    """
    if stored.damage:
        raise CorruptDataError(damage_told_by(stored.damage))
    fields = stored.fields
    try:
        return session_of(
            {
                "session_id": stored.session_id,
                "user_id": fields[b"user"].decode(),
                "agent_id": fields[b"agent"].decode(),
                "created_at": from_microseconds(int(fields[b"created"])),
                "expires_at": from_microseconds(int(fields[b"expires"]) * 1000),
                "metadata": decode_metadata(stored, decryptor),
            }
        )
    except (KeyError, ValueError, OverflowError) as error:
        raise CorruptDataError(f"session at {stored.key!r} cannot be read: {error!r}") from error


def to_checkpoint(session_id: str, stored: StoredCheckpoint, decryptor: Decryptor) -> dict[str, Any]:
    """Return the fields of `Checkpoint`, as the dictionary that callers get.

    Raises:
        CorruptDataError: it cannot be read.
    """
    if stored.data is None:
        raise CorruptDataError(f"checkpoint {stored.checkpoint_id!r} at {stored.key!r} has lost its data")
    try:
        created_at = from_microseconds(int(stored.created_us))
    except OverflowError as error:
        raise CorruptDataError(
            f"checkpoint {stored.checkpoint_id!r} at {stored.key!r} has no moment of creation"
        ) from error
    return {
        "checkpoint_id": stored.checkpoint_id,
        "session_id": session_id,
        "data": decode_checkpoint(session_id, stored, decryptor),
        "created_at": created_at,
    }


def _unreadable(what: str, error: Exception) -> CorruptDataError:
    kind = DecryptionError if isinstance(error, CannotDecryptError) else CorruptDataError
    return kind(f"{what} cannot be read: {error}")


_INFLATE_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stubs say it is an instance

#: Errors that `_load` raises for bytes that this module has not written.
_UNREADABLE = (ValueError, _INFLATE_ERROR, RecursionError)


def _load(stored: bytes) -> Any:
    """Return the value that was stored."""
    return from_json_text(_unpacked(stored, LARGEST_CHECKPOINT))


def _unpacked(stored: bytes, room: int) -> bytes:
    """Return the bytes that were packed. Raise `ValueError` if they are more than `room`."""
    kind = stored[:1]
    if kind == _PLAIN:
        return stored[1:]
    if kind != _ZLIB:
        raise ValueError(f"unknown format byte {kind!r}")
    return _inflated(stored[1:], room)


def _inflated(payload: bytes, room: int) -> bytes:
    inflater = isal_zlib.decompressobj()
    plain = inflater.decompress(payload, room + 1)
    if len(plain) > room:
        raise ValueError(f"inflated, it would be more than {LARGEST_CHECKPOINT} bytes")
    if not inflater.eof or inflater.unused_data:
        raise ValueError("the compressed data is cut short, or something follows it")
    return plain
