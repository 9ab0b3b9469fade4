"""Dates and times of row images as quoted text, zero and partial dates included. MySQL's *2 types and the old ones.

Texts of days and clock times repeat all the time, so they are kept (bounded) instead of formatted again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Generic, TypeVar

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


def fraction_bytes(digits: int) -> int:
    """Bytes of a fraction with 0 to 6 digits."""
    return (digits + 1) // 2


def _fraction(digits: int) -> tuple[int, int, bytes]:
    """Bits of the stored fraction, what to divide it by, and its format (odd digits are stored times ten)."""
    return 8 * fraction_bytes(digits), 10 if digits % 2 else 1, b".%%0%dd'" % digits


def datetime2(digits: int) -> Callable[[bytes], bytes]:
    """DATETIME(digits): 5 bytes of date and time and the fraction, big-endian."""
    bits, unit, tail = _fraction(digits)
    offset = 0x8000000000 << bits
    mask = (1 << bits) - 1

    def whole(raw: bytes) -> bytes:
        packed = int.from_bytes(raw, "big") - offset
        return DATES[packed >> 17] + CLOCKS[packed & 0x1FFFF] + b"'"

    def fractional(raw: bytes) -> bytes:
        packed = int.from_bytes(raw, "big") - offset
        seconds = packed >> bits
        return DATES[seconds >> 17] + CLOCKS[seconds & 0x1FFFF] + tail % ((packed & mask) // unit)

    return fractional if digits else whole


def timestamp2(digits: int) -> Callable[[bytes], bytes]:
    """TIMESTAMP(digits) in UTC: 4 unsigned bytes of seconds and the fraction, big-endian."""
    bits, unit, tail = _fraction(digits)
    mask = (1 << bits) - 1

    def whole(raw: bytes) -> bytes:
        seconds = int.from_bytes(raw, "big")
        if not seconds:
            return ZERO_TIMESTAMP + b"'"
        return DAYS[seconds // 86400] + SECONDS[seconds % 86400] + b"'"

    def fractional(raw: bytes) -> bytes:
        packed = int.from_bytes(raw, "big")
        seconds = packed >> bits
        if not packed:
            return ZERO_TIMESTAMP + tail % 0
        return DAYS[seconds // 86400] + SECONDS[seconds % 86400] + tail % ((packed & mask) // unit)

    return fractional if digits else whole


def time2(digits: int) -> Callable[[bytes], bytes]:
    """TIME(digits): 3 bytes and the fraction, big-endian; the sign holds for the whole integer, fraction included."""
    bits, unit, tail = _fraction(digits)
    tail = tail if digits else b"'"
    offset = 0x800000 << bits
    mask = (1 << bits) - 1

    def decode(raw: bytes) -> bytes:
        packed = int.from_bytes(raw, "big") - offset
        sign = b"'-" if packed < 0 else b"'"
        packed = abs(packed)
        seconds = packed >> bits
        text = sign + b"%02d:%02d:%02d" % (seconds >> 12 & 0x3FF, seconds >> 6 & 63, seconds & 63)
        return text + (tail % ((packed & mask) // unit) if digits else tail)

    return decode


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
