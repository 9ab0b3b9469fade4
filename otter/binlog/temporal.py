"""Dates and times of row images as quoted text, zero and partial dates included. MySQL's *2 types and the old ones.

Texts of days and clock times repeat all the time, so they are kept (bounded) instead of formatted again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Generic, TypeVar

K = TypeVar("K")

EPOCH = date(1970, 1, 1).toordinal()
ZERO_TIMESTAMP = b"'0000-00-00 00:00:00"


class Memo(dict[K, bytes], Generic[K]):
    """A bounded cache that is a plain dict for hits: ``memo[key]`` makes what is missing."""

    def __init__(self, make: Callable[[K], bytes], limit: int = 100_000) -> None:
        super().__init__()
        self._make = make
        self._limit = limit

    def __missing__(self, key: K) -> bytes:
        if len(self) >= self._limit:
            self.clear()
        text = self[key] = self._make(key)
        return text


def _date(packed: int) -> bytes:
    """``packed`` is (year * 13 + month) * 32 + day, as in DATETIME2."""
    months, day = divmod(packed, 32)
    return b"'%04d-%02d-%02d " % (*divmod(months, 13), day)


def _clock(packed: int) -> bytes:
    return b"%02d:%02d:%02d" % (packed >> 12, packed >> 6 & 63, packed & 63)


def _day(days: int) -> bytes:
    return b"'%b " % date.fromordinal(EPOCH + days).isoformat().encode()


def _second(second: int) -> bytes:
    return b"%02d:%02d:%02d" % (second // 3600, second // 60 % 60, second % 60)


def _plain_date(raw: bytes) -> bytes:
    packed = int.from_bytes(raw, "little")
    return b"'%04d-%02d-%02d'" % (packed >> 9, packed >> 5 & 15, packed & 31)


DATES: Memo[int] = Memo(_date)
CLOCKS: Memo[int] = Memo(_clock)
DAYS: Memo[int] = Memo(_day)
SECONDS: Memo[int] = Memo(_second)
PLAIN_DATES: Memo[bytes] = Memo(_plain_date)
#: What the sources below use.
NAMES: Mapping[str, Any] = {"DATES": DATES, "CLOCKS": CLOCKS, "DAYS": DAYS, "SECONDS": SECONDS}


def fraction_bytes(digits: int) -> int:
    """Bytes of a fraction with 0 to 6 digits."""
    return (digits + 1) // 2


def _fraction(digits: int) -> tuple[int, str, str]:
    """Bits of the stored fraction, its format, and source of its number (odd digits are stored times ten); ``v`` is the
    whole packed number with the fraction in its low bits."""
    if not digits:
        return 0, "", ""
    bits = 8 * fraction_bytes(digits)
    unit = " // 10" if digits % 2 else ""
    return bits, f".%0{digits}d", f", (v & {(1 << bits) - 1}){unit}"


def datetime2(digits: int) -> str:
    """DATETIME(digits): 5 bytes of date and time and the fraction, big-endian. Source; see ``otter.binlog.types``."""
    bits, form, number = _fraction(digits)
    packed = f"(v := from_bytes(RAW, 'big') - {0x8000000000 << bits})"
    return f'b"%b%b{form}\'" % (DATES[{packed} >> {17 + bits}], CLOCKS[v >> {bits} & 131071]{number})'


def timestamp2(digits: int) -> str:
    """TIMESTAMP(digits) in UTC: 4 unsigned bytes of seconds and the fraction, big-endian."""
    bits, form, number = _fraction(digits)
    zero = ZERO_TIMESTAMP + (b"." + b"0" * digits if digits else b"") + b"'"
    text = f'b"%b%b{form}\'" % (DAYS[(s := v >> {bits}) // 86400], SECONDS[s % 86400]{number})'
    return f"({text} if (v := from_bytes(RAW, 'big')) else {zero!r})"


def time2(digits: int) -> str:
    """TIME(digits): 3 bytes and the fraction, big-endian; the sign holds for the whole integer, fraction included."""
    bits, form, number = _fraction(digits)
    packed = f"(v := from_bytes(RAW, 'big') - {0x800000 << bits})"
    sign = f"b'' if {packed} >= 0 else b'-' if (v := -v) else b''"
    return f"b\"'%b%b{form}'\" % ({sign}, CLOCKS[v >> {bits}]{number})"


def old_timestamp(seconds: int) -> bytes:
    """TIMESTAMP before MySQL 5.6 (MariaDB: ``mysql56_temporal_format=OFF``), in UTC."""
    if not seconds:
        return ZERO_TIMESTAMP + b"'"
    return DAYS[seconds // 86400] + SECONDS[seconds % 86400] + b"'"


def old_datetime(packed: int) -> bytes:
    """DATETIME before MySQL 5.6: the number YYYYMMDDhhmmss."""
    day, clock = divmod(packed, 1_000_000)
    return b"'%04d-%02d-%02d %02d:%02d:%02d'" % (
        day // 10000, day // 100 % 100, day % 100, clock // 10000, clock // 100 % 100, clock % 100,
    )  # fmt: skip


def old_time(raw: bytes) -> bytes:
    """TIME before MySQL 5.6: the signed number hhmmss in 3 bytes."""
    packed = int.from_bytes(raw, "little", signed=True)
    clock = abs(packed)
    return b"'%b%02d:%02d:%02d'" % (b"-" if packed < 0 else b"", clock // 10000, clock // 100 % 100, clock % 100)
