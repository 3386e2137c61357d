"""Metadata and checkpoints to bytes and back, exactly.

A stored value is one format byte and a payload:

    j   JSON in UTF-8
    z   JSON in UTF-8, compressed with zlib
    e   a stored value, encrypted under a key of the ring (see encryption/)
    u   a stored value, encrypted under its user's own key

A checkpoint is one such value, and so is each value of the metadata. Encryption is the outermost layer.
"""

import json
import zlib
from collections.abc import Iterator
from typing import Any, NoReturn

from pydantic import JsonValue, TypeAdapter, ValidationError

from manager.encryption.sealing import CHECKPOINT, METADATA, CannotOpenError, Opener, Sealer
from manager.errors import CorruptDataError, DecryptionError, InvalidArgumentError
from manager.scripts import StoredCheckpoint, StoredSession

_PLAIN, _ZLIB = b"j", b"z"

#: The fastest level: checkpoints are written on every turn.
_ZLIB_LEVEL = 1

_JSON_OBJECT = TypeAdapter(dict[str, JsonValue])


def _dump(name: str, value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{name} cannot be held as JSON: {error}") from error
    # A lone surrogate (half an emoji, as token streams produce) has no UTF-8, and two halves side by side,
    # escaped as JSON would have it, come back as one character. Python passes them through both ways.
    return text.encode("utf-8", "surrogatepass")


def _check_json_object(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"{name} must be a dict, not {type(value).__name__}")
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
    """Names of fields in a session's hash and stored values, in turn and in the clear."""
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
    """The metadata that `encode_metadata` was given, as it will be read."""
    return {fields[i][2:].decode(): _load(fields[i + 1]) for i in range(0, len(fields), 2)}


def seal_metadata(fields: list[bytes], sealer: Sealer, max_bytes: int) -> list[bytes]:
    """What `encode_metadata` gave, as it is stored."""
    sealed = fields.copy()
    for i in range(0, len(fields), 2):
        sealed[i + 1] = sealer.seal(METADATA, fields[i][2:], fields[i + 1])
    size = metadata_bytes(sealed)
    if size > max_bytes:
        raise InvalidArgumentError(
            f"metadata is {size} bytes as stored; the limit is {max_bytes} (max_metadata_bytes)"
        )
    return sealed


def metadata_bytes(fields: list[bytes]) -> int:
    """What the fields count against the limit: keys without their ``m:``, and values as they are stored."""
    return sum(map(len, fields)) - len(fields)  # "m:" is 2 bytes on every second entry


def metadata_values(fields: dict[bytes, bytes]) -> Iterator[bytes]:
    """The stored values of the metadata among the fields of a session's hash."""
    return (stored for field, stored in fields.items() if field.startswith(b"m:"))


def decode_metadata(session: StoredSession, opener: Opener) -> dict[str, Any]:
    """The metadata of a session. Its key and the field are named if a value cannot be read."""
    metadata = {}
    for field, stored in session.fields.items():
        if field.startswith(b"m:"):
            name = field[2:]
            try:
                metadata[name.decode()] = _load(opener.open(session.session_id, METADATA, name, stored))
            except _UNREADABLE as error:
                raise _unreadable(f"metadata {name!r} at {session.key!r}", error) from error
    return metadata


def encode_checkpoint(data: object, max_bytes: int, compress_above_bytes: int) -> bytes:
    """The data as a stored value in the clear."""
    _check_json_object("data", data)
    plain = _dump("data", data)
    if len(plain) > max_bytes:
        raise InvalidArgumentError(
            f"data is {len(plain)} bytes as JSON; the limit is {max_bytes} (max_checkpoint_bytes)"
        )
    if len(plain) > compress_above_bytes:
        return _ZLIB + zlib.compress(plain, _ZLIB_LEVEL)
    return _PLAIN + plain


def seal_checkpoint(checkpoint_id: str, value: bytes, sealer: Sealer) -> bytes:
    """What `encode_checkpoint` gave, as it is stored."""
    return sealer.seal(CHECKPOINT, checkpoint_id.encode(), value)


def decode_checkpoint(session_id: str, checkpoint: StoredCheckpoint, opener: Opener) -> dict[str, Any]:
    """What `encode_checkpoint` was given. Its key and id are named if it cannot be read."""
    try:
        name = checkpoint.checkpoint_id.encode()
        data = _load(opener.open(session_id, CHECKPOINT, name, checkpoint.data or b""))
        if not isinstance(data, dict):
            raise ValueError(f"it is no JSON object but {type(data).__name__}")
    except _UNREADABLE as error:
        raise _unreadable(f"checkpoint {checkpoint.checkpoint_id!r} at {checkpoint.key!r}", error) from error
    return data


def _unreadable(what: str, error: Exception) -> CorruptDataError:
    kind = DecryptionError if isinstance(error, CannotOpenError) else CorruptDataError
    return kind(f"{what} cannot be read: {error}")


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)

#: What `_load` raises where bytes are not what this module writes.
_UNREADABLE = (ValueError, zlib.error, RecursionError)


def _load(stored: bytes) -> Any:
    """The value that was stored."""
    payload = stored[1:]
    if stored[:1] == _ZLIB:
        payload = _inflated(payload)
    elif stored[:1] != _PLAIN:
        raise ValueError(f"unknown format byte {stored[:1]!r}")
    return _JSON.decode(payload.decode("utf-8", "surrogatepass"))


def _inflated(payload: bytes) -> bytes:
    inflater = zlib.decompressobj()
    plain = inflater.decompress(payload)
    if not inflater.eof or inflater.unused_data:  # the latter goes unnoticed by `zlib.decompress`
        raise ValueError("the compressed data is cut short, or something follows it")
    return plain
