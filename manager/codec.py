"""Metadata and checkpoints to bytes and back, exactly.

A stored value is one format byte and a payload; what a payload holds may be a stored value again:

    j   JSON in UTF-8
    z   JSON in UTF-8, compressed with zlib

A checkpoint is one such value, and so is each value of the metadata.
"""

import json
import zlib
from typing import Any, NoReturn

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
    try:
        return text.encode()
    except UnicodeEncodeError:
        # A lone surrogate (half an emoji, as token streams produce) has no UTF-8, but JSON can escape it.
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


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
            fields += (b"m:" + key.encode(), _PLAIN + _dump("metadata", value))
        except UnicodeEncodeError as error:
            raise InvalidArgumentError(f"metadata key {key!r} must be valid Unicode") from error
    size = metadata_bytes(fields)
    if size > max_bytes:
        raise InvalidArgumentError(
            f"metadata is {size} bytes as stored; the limit is {max_bytes} (max_metadata_bytes)"
        )
    return fields


def metadata_bytes(fields: list[bytes]) -> int:
    """What the fields count against the limit: keys without their ``m:``, and values as they are stored."""
    return sum(map(len, fields)) - len(fields)  # "m:" is 2 bytes on every second entry


def decode_metadata(key: bytes, fields: dict[bytes, bytes]) -> dict[str, Any]:
    """The metadata among the fields of a session's hash. `key` is named if a value cannot be read."""
    metadata = {}
    for name, stored in fields.items():
        if name.startswith(b"m:"):
            try:
                metadata[name[2:].decode()] = _load(stored)
            except _UNREADABLE as error:
                raise CorruptDataError(f"metadata {name[2:]!r} at {key!r} cannot be read: {error}") from error
    return metadata


def encode_checkpoint(data: object, max_bytes: int, compress_above_bytes: int) -> bytes:
    """The data as it is stored."""
    _check_json_object("data", data)
    plain = _dump("data", data)
    if len(plain) > max_bytes:
        raise InvalidArgumentError(
            f"data is {len(plain)} bytes as JSON; the limit is {max_bytes} (max_checkpoint_bytes)"
        )
    if len(plain) > compress_above_bytes:
        return _ZLIB + zlib.compress(plain, _ZLIB_LEVEL)
    return _PLAIN + plain


def decode_checkpoint(key: bytes, checkpoint_id: str, stored: bytes) -> dict[str, Any]:
    """What `encode_checkpoint` was given. `key` and the id are named if it cannot be read."""
    try:
        data = _load(stored)
        if not isinstance(data, dict):
            raise ValueError(f"it is no JSON object but {type(data).__name__}")
    except _UNREADABLE as error:
        raise CorruptDataError(f"checkpoint {checkpoint_id!r} at {key!r} cannot be read: {error}") from error
    return data


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
    return _JSON.decode(payload.decode())


def _inflated(payload: bytes) -> bytes:
    inflater = zlib.decompressobj()
    plain = inflater.decompress(payload)
    if not inflater.eof or inflater.unused_data:  # the latter goes unnoticed by `zlib.decompress`
        raise ValueError("the compressed data is cut short, or something follows it")
    return plain
