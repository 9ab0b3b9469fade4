"""SQL literals of single values: what generated decoders call. A value always gives the same bytes.

For sessions with ``SET NAMES utf8mb4``, time zone '+00:00' and backslash escapes on.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable
from typing import Any

from otter.errors import Damaged

FLOAT_MAX = 3.4028234663852886e38
_pack = struct.Struct("<f").pack
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
    raw = _pack(value)
    for digits in ("%.6g", "%.7g"):
        text = digits % value
        if _pack(float(text)) == raw:
            return text
    for text in (f"{value:.8g}", f"{value:.9g}"):
        if abs(float(text)) <= FLOAT_MAX and _pack(float(text)) == raw:
            return text
    return repr(value)


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


@functools.cache
def decimal(precision: int, scale: int) -> Callable[[bytes], bytes]:
    """Decoder of a packed DECIMAL, generated: groups of nine digits, big-endian; a negative one is inverted."""
    bits = 8 * decimal_size(precision, scale)
    top, ones = 1 << (bits - 1), (1 << bits) - 1
    whole, fraction = _decimal_groups(precision, scale)
    sources = []
    for digits in whole + fraction:
        bits -= 8 * DIGIT_BYTES[digits]
        sources.append((digits, f"(v >> {bits} & {(1 << 8 * DIGIT_BYTES[digits]) - 1})"))
    numbers, text = _sum(sources[: len(whole)]), "%d"
    if scale:
        numbers, text = f"{numbers}, {_sum(sources[len(whole) :])}", f"%d.%0{scale}d"
    lines = (
        f"v = from_bytes(raw, 'big') ^ {top}",
        f"if v & {top}:",
        f"    v ^= {ones}",
        f"    return b'-{text}' % ({numbers},)",
        f"return b'{text}' % ({numbers},)",
    )
    names: dict[str, Any] = {"from_bytes": int.from_bytes}
    exec("def decode(raw):\n    " + "\n    ".join(lines), names)  # noqa: S102
    function: Callable[[bytes], bytes] = names["decode"]
    return function


def _sum(groups: list[tuple[int, str]]) -> str:
    """Source of one number out of groups of decimal digits, the highest first."""
    terms, power = [], 0
    for digits, source in reversed(groups):
        terms.append(f"{source} * {10**power}" if power else source)
        power += digits
    return " + ".join(reversed(terms)) or "0"


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
