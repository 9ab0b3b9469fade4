"""MySQL's binary JSON (as in row images) to JSON text. MariaDB stores text and never comes here."""

from __future__ import annotations

import base64
import json
import struct

from otter.binlog.literal import decimal
from otter.errors import Damaged

_LITERALS = {0: "null", 1: "true", 2: "false"}
_NUMBERS = {5: "<h", 6: "<H", 7: "<i", 8: "<I", 9: "<q", 10: "<Q"}
_INLINE = frozenset({4, 5, 6})  # values that fit in a small container's entry
_INLINE_LARGE = frozenset({4, 5, 6, 7, 8})
_NEWDECIMAL, _TIMESTAMP, _DATE, _TIME, _DATETIME = 246, 7, 10, 11, 12


def json_text(data: bytes) -> bytes:
    """UTF-8 JSON text of a stored value, in the server's order and spelling (``{"a": 1, "b": [2]}``)."""
    if not data:
        return b"null"
    try:
        return _value(data[0], data, 1).encode()
    except (IndexError, KeyError, struct.error, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"a JSON value cannot be read ({type(error).__name__})") from None


def _value(kind: int, data: bytes, at: int) -> str:
    if kind <= 3:
        return _container(kind, data, at)
    if kind == 4:
        return _LITERALS[data[at]]
    if kind in _NUMBERS:
        return str(struct.unpack_from(_NUMBERS[kind], data, at)[0])
    if kind == 11:
        return repr(struct.unpack_from("<d", data, at)[0])
    if kind == 12:
        size, start = _size(data, at)
        return json.dumps(data[start : start + size].decode(), ensure_ascii=False)
    if kind == 15:
        size, start = _size(data, at + 1)
        return _opaque(data[at], data[start : start + size])
    raise Damaged(f"JSON value of unknown type {kind}")


def _container(kind: int, data: bytes, base: int) -> str:
    """Object (0 small, 1 large) or array (2, 3): counts and offsets are 2 or 4 bytes, offsets count from ``base``."""
    width, large = (4, True) if kind % 2 else (2, False)
    number = struct.Struct("<I" if large else "<H")
    count = number.unpack_from(data, base)[0]
    at = base + 2 * width
    keys = []
    if kind < 2:
        for _ in range(count):
            start, size = number.unpack_from(data, at)[0], struct.unpack_from("<H", data, at + width)[0]
            keys.append(json.dumps(data[base + start : base + start + size].decode(), ensure_ascii=False))
            at += width + 2
    values = []
    for _ in range(count):
        inline = data[at] in (_INLINE_LARGE if large else _INLINE)
        values.append(_value(data[at], data, at + 1 if inline else base + number.unpack_from(data, at + 1)[0]))
        at += 1 + width
    if kind < 2:
        return "{" + ", ".join(f"{key}: {value}" for key, value in zip(keys, values, strict=True)) + "}"
    return "[" + ", ".join(values) + "]"


def _size(data: bytes, at: int) -> tuple[int, int]:
    """A length in 7-bit groups, low ones first, and where what follows begins."""
    size = shift = 0
    while True:
        byte = data[at]
        at += 1
        size |= (byte & 127) << shift
        if not byte & 128:
            return size, at
        shift += 7


def _opaque(kind: int, data: bytes) -> str:
    if kind == _NEWDECIMAL:
        return decimal(data[0], data[1])(data[2:]).decode()
    if kind in (_TIMESTAMP, _DATE, _TIME, _DATETIME):
        return json.dumps(_temporal(kind, struct.unpack("<q", data)[0]))
    return json.dumps(f"base64:type{kind}:{base64.b64encode(data).decode()}")


def _temporal(kind: int, packed: int) -> str:
    """A packed time: seconds in the high bits, microseconds in the low 24; the sign holds for all of it."""
    sign = "-" if packed < 0 else ""
    seconds, micro = divmod(abs(packed), 1 << 24)
    clock = f"{seconds >> 6 & 63:02}:{seconds & 63:02}.{micro:06}"
    if kind == _TIME:
        return f"{sign}{seconds >> 12 & 0x3FF:02}:{clock}"
    months, day = divmod(seconds >> 17, 32)
    date = f"{months // 13:04}-{months % 13:02}-{day:02}"
    return date if kind == _DATE else f"{date} {seconds >> 12 & 31:02}:{clock}"
