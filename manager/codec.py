"""Metadata and checkpoints to bytes and back, exactly.

A checkpoint is JSON behind one format byte: ``j`` plain, ``z`` compressed with zlib. A metadata value is
plain JSON, whose first byte can never be a control character, so later formats can be told apart.
"""

import json
import zlib
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from manager.errors import CorruptDataError, InvalidArgumentError

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


def encode_metadata(metadata: object, max_bytes: int) -> list[bytes]:
    """Field names and values in turn, as they lie in a session's hash."""
    _check_json_object("metadata", metadata)
    assert isinstance(metadata, dict)  # noqa: S101  (checked one line up; for the type checker)
    fields: list[bytes] = []
    for key, value in metadata.items():
        try:
            fields += (b"m:" + key.encode(), _dump("metadata", value))
        except UnicodeEncodeError as error:
            raise InvalidArgumentError(f"metadata key {key!r} must be valid Unicode") from error
    size = metadata_bytes(fields)
    if size > max_bytes:
        raise InvalidArgumentError(f"metadata is {size} bytes; the limit is {max_bytes} (max_metadata_bytes)")
    return fields


def metadata_bytes(fields: list[bytes]) -> int:
    """What the fields count against the limit: keys without their ``m:``, and values."""
    return sum(map(len, fields)) - len(fields)  # "m:" is 2 bytes on every second entry


def decode_metadata(key: bytes, fields: dict[bytes, bytes]) -> dict[str, Any]:
    """The metadata among the fields of a session's hash. `key` is named if a value cannot be read."""
    try:
        return {
            name[2:].decode(): json.loads(value) for name, value in fields.items() if name.startswith(b"m:")
        }
    except ValueError as error:
        raise CorruptDataError(f"metadata at {key!r} cannot be read: {error}") from error


def encode_checkpoint(data: object, max_bytes: int, compress_above_bytes: int) -> bytes:
    """A format byte and the data."""
    _check_json_object("data", data)
    plain = _dump("data", data)
    if len(plain) > max_bytes:
        raise InvalidArgumentError(
            f"data is {len(plain)} bytes as JSON; the limit is {max_bytes} (max_checkpoint_bytes)"
        )
    if len(plain) > compress_above_bytes:
        return _ZLIB + zlib.compress(plain, _ZLIB_LEVEL)
    return _PLAIN + plain


def decode_checkpoint(key: bytes, stored: bytes) -> dict[str, Any]:
    """What `encode_checkpoint` was given. `key` is named if it cannot be read."""
    try:
        if stored[:1] == _ZLIB:
            return json.loads(zlib.decompress(stored[1:]))  # type: ignore[no-any-return]
        if stored[:1] == _PLAIN:
            return json.loads(stored[1:])  # type: ignore[no-any-return]
    except (ValueError, zlib.error) as error:
        raise CorruptDataError(f"checkpoint at {key!r} cannot be read: {error}") from error
    raise CorruptDataError(f"checkpoint at {key!r} has the unknown format byte {stored[:1]!r}")
