"""How each column type lies in a row image, and the Python source that turns its raw value into a literal or value.

Sources are templates: ``RAW`` is the local variable with the raw value (an int or float for plain numbers, else bytes),
``#`` the column's ordinal, so that names of different columns do not meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from otter.binlog import literal, temporal
from otter.binlog.charset import BINARY, CODECS, NOT_ASCII, UTF8, charset_of
from otter.binlog.jsonb import json_text
from otter.errors import Fatal
from otter.model.batch import Column

TINY, SHORT, LONG, FLOAT, DOUBLE, OLD_TIMESTAMP, LONGLONG, INT24 = 1, 2, 3, 4, 5, 7, 8, 9
DATE, OLD_TIME, OLD_DATETIME, YEAR, NEWDATE, VARCHAR, BIT = 10, 11, 12, 13, 14, 15, 16
TIMESTAMP2, DATETIME2, TIME2 = 17, 18, 19
BLOB_COMPRESSED, VARCHAR_COMPRESSED = 140, 141  # MariaDB
VECTOR, JSON, NEWDECIMAL, ENUM, SET = 242, 245, 246, 247, 248
TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, VAR_STRING, STRING, GEOMETRY = 249, 250, 251, 252, 253, 254, 255


@dataclass(frozen=True)
class Format:
    """``code`` is the struct code of a fixed-size column of ``size`` bytes; empty: the value has its length before it,
    in ``size`` bytes. ``literal`` and ``value`` are source templates; ``names`` is what they use."""

    code: str
    size: int
    literal: str
    value: str
    names: Mapping[str, Any] = field(default_factory=dict)


Builder = Callable[[Column, bool], Format]

ESCAPED = r"""RAW.replace(b"\\", b"\\\\").replace(b"'", b"\\'")"""


def _integer(code: str, size: int) -> Builder:
    return lambda column, _: Format(code.upper() if column.unsigned else code, size, "b'%d' % RAW", "RAW")


def _int24(column: Column, _: bool) -> Format:
    number = "from_bytes(RAW, 'little')"
    if not column.unsigned:
        number = f"(({number} ^ 0x800000) - 0x800000)"  # twice as fast as the keyword argument
    return Format("3s", 3, f"b'%d' % {number}", number)


def _float(_column: Column, _: bool) -> Format:
    return Format("f", 4, "float_text(RAW).encode()", "float(float_text(RAW))", {"float_text": literal.float_text})


def _double(_column: Column, _: bool) -> Format:
    return Format("d", 8, "double_text(RAW).encode()", "RAW", {"double_text": literal.double_text})


def _decimal(column: Column, _: bool) -> Format:
    precision, scale = column.meta & 255, column.meta >> 8
    size = literal.decimal_size(precision, scale)
    return Format(
        f"{size}s", size, "decimal#(RAW)", "decimal#(RAW).decode()", {"decimal#": literal.decimal(precision, scale)}
    )


def _quoted(code: str, size: int, decode: Callable[[Any], bytes] | temporal.Memo[bytes]) -> Format:
    """A value that is shown as its literal without the quotes."""
    call = "time#[RAW]" if isinstance(decode, dict) else "time#(RAW)"
    return Format(code, size, call, f"{call}[1:-1].decode()", {"time#": decode})


def _temporal(size: int, make: Callable[[int], str]) -> Builder:
    def build(column: Column, _: bool) -> Format:
        whole = size + temporal.fraction_bytes(column.meta)
        source = make(column.meta)
        return Format(f"{whole}s", whole, source, f"({source})[1:-1].decode()", temporal.NAMES)

    return build


def _year(_column: Column, _: bool) -> Format:
    return Format("B", 1, "b'%d' % (RAW and RAW + 1900)", "(RAW and RAW + 1900)")


def _bit(column: Column, _: bool) -> Format:
    size = (column.meta >> 8) + bool(column.meta & 255)
    return Format(f"{size}s", size, "b'%d' % from_bytes(RAW, 'big')", "from_bytes(RAW, 'big')")


def _labels(column: Column, mariadb: bool) -> tuple[list[bytes], list[str]]:
    """Labels as literals and as text."""
    quote = _quoter(column.collation, mariadb)
    show = _shower(column.collation, mariadb)
    return [quote(label) for label in column.labels], [str(show(label)) for label in column.labels]


def _enum(column: Column, mariadb: bool) -> Format:
    literals, texts = _labels(column, mariadb)
    names = {"labels#": (b"''", *literals), "texts#": ("", *texts)}
    return Format("B" if column.meta == 1 else "H", column.meta, "labels#[RAW]", "texts#[RAW]", names)


def _set(column: Column, mariadb: bool) -> Format:
    quote, show = _quoter(column.collation, mariadb), _shower(column.collation, mariadb)
    comma = ",".encode(CODECS.get(charset_of(column.collation, mariadb)) or "ascii")

    def joined(raw: bytes) -> bytes:
        mask = int.from_bytes(raw, "little")
        if mask >> len(column.labels):
            raise ValueError("a SET value has more members than its column")
        return comma.join(label for bit, label in enumerate(column.labels) if mask >> bit & 1)

    literals: temporal.Memo[bytes] = temporal.Memo(lambda raw: quote(joined(raw)))
    names = {"sets#": literals, "shown#": lambda raw: show(joined(raw))}
    return Format(f"{column.meta}s", column.meta, "sets#[RAW]", "shown#(RAW)", names)


def _quoter(collation: int, mariadb: bool) -> Callable[[bytes], bytes]:
    if collation in (0, BINARY):
        return literal.binary
    charset = charset_of(collation, mariadb)
    return literal.quote if charset in UTF8 else literal.introduced(charset, charset not in NOT_ASCII)


def _shower(collation: int, mariadb: bool) -> Callable[[bytes], str | dict[str, str]]:
    codec = "" if collation in (0, BINARY) else CODECS.get(charset_of(collation, mariadb), "")

    def show(data: bytes) -> str | dict[str, str]:
        try:
            return data.decode(codec) if codec else {"hex": data.hex()}
        except UnicodeDecodeError:
            return {"hex": data.hex()}

    return show


def _text(column: Column, mariadb: bool, size: int) -> Format:
    """Inline source for the two common cases, a call for the others."""
    names: dict[str, Any] = {"show#": _shower(column.collation, mariadb)}
    if column.collation in (0, BINARY):
        source = f"b\"_binary'%b'\" % {ESCAPED}"
    elif charset_of(column.collation, mariadb) in UTF8:
        source = f"b\"'%b'\" % {ESCAPED}"
    else:
        source, names["quote#"] = "quote#(RAW)", _quoter(column.collation, mariadb)
    return Format("", size, source, "show#(RAW)", names)


def _changed(base: Format, raw: str, **names: Any) -> Format:
    """The same format with ``raw`` in place of the stored bytes."""
    literal_source, value_source = base.literal.replace("RAW", raw), base.value.replace("RAW", raw)
    return Format("", base.size, literal_source, value_source, {**base.names, **names})


def _char(column: Column, mariadb: bool) -> Format:
    text = _text(column, mariadb, 2 if column.meta > 255 else 1)
    if column.collation not in (0, BINARY):
        return text
    return _changed(text, f"RAW.ljust({column.meta}, b'\\0')")  # the binlog leaves trailing zero bytes out


def _varchar(column: Column, mariadb: bool) -> Format:
    return _text(column, mariadb, 2 if column.meta > 255 else 1)


def _blob(column: Column, mariadb: bool) -> Format:
    return _text(column, mariadb, column.meta)


def _compressed(plain: Builder) -> Builder:
    return lambda column, mariadb: _changed(plain(column, mariadb), "inflate(RAW)", inflate=literal.inflate)


def _json(column: Column, _: bool) -> Format:
    names = {"quote": literal.quote, "json_text": json_text}
    return Format("", column.meta, "quote(json_text(RAW))", "json_text(RAW).decode()", names)


BUILDERS: dict[int, Builder] = {
    TINY: _integer("b", 1),
    SHORT: _integer("h", 2),
    LONG: _integer("i", 4),
    LONGLONG: _integer("q", 8),
    INT24: _int24,
    FLOAT: _float,
    DOUBLE: _double,
    NEWDECIMAL: _decimal,
    YEAR: _year,
    BIT: _bit,
    ENUM: _enum,
    SET: _set,
    DATE: lambda _column, _: _quoted("3s", 3, temporal.PLAIN_DATES),
    NEWDATE: lambda _column, _: _quoted("3s", 3, temporal.PLAIN_DATES),
    TIMESTAMP2: _temporal(4, temporal.timestamp2),
    DATETIME2: _temporal(5, temporal.datetime2),
    TIME2: _temporal(3, temporal.time2),
    OLD_TIMESTAMP: lambda _column, _: _quoted("I", 4, temporal.old_timestamp),
    OLD_DATETIME: lambda _column, _: _quoted("Q", 8, temporal.old_datetime),
    OLD_TIME: lambda _column, _: _quoted("3s", 3, temporal.old_time),
    VARCHAR: _varchar,
    VAR_STRING: _varchar,
    STRING: _char,
    JSON: _json,
    VARCHAR_COMPRESSED: _compressed(_varchar),
    BLOB_COMPRESSED: _compressed(_blob),
    **dict.fromkeys((BLOB, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, GEOMETRY, VECTOR), _blob),
}


def format_of(column: Column, mariadb: bool) -> Format:
    """The column's format; Fatal for a type that this Otter does not know."""
    build = BUILDERS.get(column.type)
    if build is None:
        raise Fatal(
            f"column {column.name} has the unknown binlog type {column.type}", "leave its table out of the pairs"
        )
    return build(column, mariadb)
