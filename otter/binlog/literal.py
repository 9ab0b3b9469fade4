"""SQL literals of single values: what generated decoders call. A value always gives the same bytes.

For sessions with ``SET NAMES utf8mb4``, time zone '+00:00' and backslash escapes on.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from otter.errors import Damaged

FLOAT_MAX = 3.4028234663852886e38
_FLOAT = struct.Struct("<f")
#: Bytes of 0 to 9 packed decimal digits.
DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


def quote(text: bytes) -> bytes:
    """A quoted string of bytes that are valid in utf8mb4."""
    return b"'" + text.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def binary(data: bytes) -> bytes:
    """A binary string, safe as it is: no byte of a utf8mb4 sequence is a quote or a backslash."""
    return b"_binary'" + data.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def introduced(charset: str, ascii_compatible: bool) -> Callable[[bytes], bytes]:
    """Literals of a character set that is not UTF-8: quoted where all bytes are ASCII, else hex with an introducer."""
    start = b"_%b x'" % charset.encode()

    def literal(text: bytes) -> bytes:
        if ascii_compatible and text.isascii():
            return quote(text)
        return start + text.hex().encode() + b"'"

    return literal


def float_text(value: float) -> str:
    """The shortest text that the server reads back as the same FLOAT (it refuses what rounds up beyond FLT_MAX)."""
    if not value:
        return double_text(value)
    raw = _FLOAT.pack(value)
    for digits in (6, 7, 8):
        text = f"{value:.{digits}g}"
        near = float(text)
        if abs(near) <= FLOAT_MAX and _FLOAT.pack(near) == raw:
            return text
    return f"{value:.9g}"


def double_text(value: float) -> str:
    """Python's shortest repr; a negative zero keeps its sign only as a floating-point literal."""
    text = repr(value)
    return "-0e0" if text == "-0.0" else text


def decimal_size(precision: int, scale: int) -> int:
    """Bytes of a packed DECIMAL(precision, scale)."""
    whole, rest = divmod(precision - scale, 9)
    fraction, tail = divmod(scale, 9)
    return 4 * (whole + fraction) + DIGIT_BYTES[rest] + DIGIT_BYTES[tail]


def _decimal_groups(precision: int, scale: int) -> tuple[list[int], list[int]]:
    """Digits in each stored group, before and after the point."""
    lead, tail = (precision - scale) % 9, scale % 9
    whole = ([lead] if lead else []) + [9] * ((precision - scale) // 9)
    return whole, [9] * (scale // 9) + ([tail] if tail else [])


def decimal(precision: int, scale: int) -> Callable[[bytes], bytes]:
    """Decoder of a packed DECIMAL: groups of nine digits, big-endian; a negative one has all bits inverted."""
    bits = 8 * decimal_size(precision, scale)
    top, ones = 1 << (bits - 1), (1 << bits) - 1
    whole, fraction = _decimal_groups(precision, scale)
    steps: list[tuple[int, int, int]] = []
    for digits in whole + fraction:
        bits -= 8 * DIGIT_BYTES[digits]
        steps.append((bits, (1 << 8 * DIGIT_BYTES[digits]) - 1, 10**digits))
    whole_steps, fraction_steps = steps[: len(whole)], steps[len(whole) :]
    text = b"%%b%%d.%%0%dd" % scale

    def decode(raw: bytes) -> bytes:
        packed = int.from_bytes(raw, "big") ^ top
        sign = b""
        if packed & top:
            packed ^= ones
            sign = b"-"
        number = 0
        for shift, mask, factor in whole_steps:
            number = number * factor + (packed >> shift & mask)
        if not scale:
            return b"%b%d" % (sign, number)
        part = 0
        for shift, mask, factor in fraction_steps:
            part = part * factor + (packed >> shift & mask)
        return text % (sign, number, part)

    return decode


def inflate(data: bytes) -> bytes:
    """The value of a MariaDB COMPRESSED column: a head byte (0 = stored plain; low 3 bits: bytes of the length,
    bit 3: no zlib wrapper), the length big-endian, the zlib data."""
    if not data or not data[0]:
        return data[1:]
    start = 1 + (data[0] & 7)
    value = zlib.decompress(data[start:], -15 if data[0] & 8 else 15)
    if len(value) != int.from_bytes(data[1:start], "big"):
        raise Damaged("a compressed column value has another length than it says")
    return value
