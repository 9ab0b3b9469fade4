"""TABLE_MAP events: the table definition of the time, out of the event's own metadata (``binlog_row_metadata=FULL``).

Our own parser, because the library's raises on column types that it does not know (VECTOR, COMPRESSED).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from otter.binlog import types as t
from otter.errors import Damaged, Fatal
from otter.model.batch import Column, Table

#: Bytes of metadata by column type; a type that is not here has none.
META_BYTES = {
    t.FLOAT: 1, t.DOUBLE: 1, t.VARCHAR: 2, t.BIT: 2, t.NEWDECIMAL: 2, t.VAR_STRING: 2, t.STRING: 2, t.ENUM: 2,
    t.SET: 2, t.TIMESTAMP2: 1, t.DATETIME2: 1, t.TIME2: 1, t.BLOB: 1, t.TINY_BLOB: 1, t.MEDIUM_BLOB: 1, t.LONG_BLOB: 1,
    t.GEOMETRY: 1, t.JSON: 1, t.VECTOR: 1, t.BLOB_COMPRESSED: 1, t.VARCHAR_COMPRESSED: 2,
}  # fmt: skip

NUMERIC = frozenset({t.TINY, t.SHORT, t.INT24, t.LONG, t.LONGLONG, t.NEWDECIMAL, t.FLOAT, t.DOUBLE, t.YEAR})
CHARACTER = frozenset({t.STRING, t.VAR_STRING, t.VARCHAR, t.BLOB, t.BLOB_COMPRESSED, t.VARCHAR_COMPRESSED})
CHARACTER_MARIADB = CHARACTER | {t.GEOMETRY}
LABELLED = frozenset({t.ENUM, t.SET})

# Optional metadata, by its type byte.
SIGNEDNESS, DEFAULT_CHARSET, COLUMN_CHARSET, COLUMN_NAME, SET_LABELS, ENUM_LABELS = 1, 2, 3, 4, 5, 6
SIMPLE_KEY, PREFIX_KEY, LABEL_DEFAULT_CHARSET, LABEL_COLUMN_CHARSET = 8, 9, 10, 11


class _Bytes:
    """Reads through bytes; IndexError or a short slice beyond the end are caught by the caller."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise IndexError
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self) -> int:
        """A length-encoded integer."""
        first = self.take(1)[0]
        return first if first < 251 else int.from_bytes(self.take({252: 2, 253: 3, 254: 8}[first]), "little")

    def text(self) -> bytes:
        return self.take(self.number())

    def numbers(self) -> list[int]:
        found = []
        while self.left:
            found.append(self.number())
        return found


def address(body: bytes) -> tuple[str, str]:
    """Schema and table name; ``body`` begins after the table id and flags."""
    try:
        end = 1 + body[0]
        name = end + 2
        return body[1:end].decode(), body[name : name + body[end + 1]].decode()
    except (IndexError, UnicodeDecodeError):
        raise Damaged("a TABLE_MAP event cannot be read") from None


def parse(body: bytes, mariadb: bool) -> Table:
    """The table a TABLE_MAP event describes; ``body`` begins after the table id and flags and has no checksum.

    Fatal when names are missing: without ``binlog_row_metadata=FULL`` values cannot be understood."""
    try:
        return _parse(_Bytes(body), mariadb)
    except (IndexError, KeyError, ValueError) as error:
        raise Damaged(f"a TABLE_MAP event cannot be read ({type(error).__name__})") from None


def _parse(data: _Bytes, mariadb: bool) -> Table:
    schema = data.take(data.take(1)[0]).decode()
    data.take(1)
    name = data.take(data.take(1)[0]).decode()
    data.take(1)
    codes = data.take(data.number())
    metas = _Bytes(data.text())
    kinds = [_kind(code, int.from_bytes(metas.take(META_BYTES.get(code, 0)), "little")) for code in codes]
    nulls = data.take((len(codes) + 7) // 8)
    optional: dict[int, bytes] = {}
    while data.left:
        tag = data.take(1)[0]
        optional[tag] = data.text()
    return _table((schema, name), kinds, nulls, optional, mariadb)


def _kind(code: int, meta: int) -> tuple[int, int]:
    """Type and metadata word, with what hides inside STRING unpacked: ENUM, SET, and lengths beyond 255."""
    if code == t.STRING:
        real, length = meta & 255, meta >> 8
        if real in LABELLED:
            return real, length
        if real & 0x30 != 0x30:
            return t.STRING, length | (real & 0x30 ^ 0x30) << 4
        return real, length
    return code, meta


def _table(
    address: tuple[str, str], kinds: list[tuple[int, int]], nulls: bytes, tags: dict[int, bytes], mariadb: bool
) -> Table:
    if kinds and COLUMN_NAME not in tags:
        raise Fatal(
            f"the binlog has no column names of {'.'.join(address)}: binlog_row_metadata was not FULL at that time",
            "SET GLOBAL binlog_row_metadata=FULL, then start this pipeline from a position after that",
        )
    codes = [code for code, _ in kinds]
    unsigned = _flags(tags.get(SIGNEDNESS, b""), codes, NUMERIC)
    is_text = CHARACTER_MARIADB if mariadb else CHARACTER
    collations = _collations(tags, DEFAULT_CHARSET, COLUMN_CHARSET, codes, is_text)
    collations |= _collations(tags, LABEL_DEFAULT_CHARSET, LABEL_COLUMN_CHARSET, codes, LABELLED)
    labels = dict(zip(_places(codes, {t.ENUM}), _labels(tags.get(ENUM_LABELS, b"")), strict=False))
    labels |= dict(zip(_places(codes, {t.SET}), _labels(tags.get(SET_LABELS, b"")), strict=False))
    names = _names(tags.get(COLUMN_NAME, b""))
    columns = tuple(
        Column(
            names[i], code, meta, bool(nulls[i >> 3] >> (i & 7) & 1), i in unsigned, collations.get(i, 0),
            labels.get(i, ()),
        )
        for i, (code, meta) in enumerate(kinds)
    )  # fmt: skip
    return Table(*address, columns, _key(tags), mariadb)


def _places(codes: list[int], kinds: frozenset[int] | set[int]) -> list[int]:
    return [place for place, code in enumerate(codes) if code in kinds]


def _flags(bits: bytes, codes: list[int], kinds: frozenset[int]) -> set[int]:
    """Ordinals whose bit is set; bits go over columns of ``kinds``, highest bit first."""
    places = _places(codes, kinds)
    return {place for i, place in enumerate(places) if i >> 3 < len(bits) and bits[i >> 3] << (i & 7) & 128}


def _collations(
    optional: dict[int, bytes], default: int, each: int, codes: list[int], kinds: frozenset[int]
) -> dict[int, int]:
    """Collation id by ordinal: one for each column, or a default with exceptions, whichever is shorter."""
    places = _places(codes, kinds)
    if each in optional:
        return dict(zip(places, _Bytes(optional[each]).numbers(), strict=True))
    if default not in optional:
        return {}
    first, *rest = _Bytes(optional[default]).numbers()
    found = dict.fromkeys(places, first)
    found.update({places[i]: collation for i, collation in zip(rest[::2], rest[1::2], strict=True)})
    return found


def _names(data: bytes) -> list[str]:
    return [name.decode() for name in _texts(_Bytes(data), lambda rest: rest.left > 0)]


def _texts(data: _Bytes, more: Callable[[_Bytes], bool]) -> Iterator[bytes]:
    while more(data):
        yield data.text()


def _labels(data: bytes) -> Iterator[tuple[bytes, ...]]:
    rest = _Bytes(data)
    while rest.left:
        yield tuple(rest.text() for _ in range(rest.number()))


def _key(optional: dict[int, bytes]) -> tuple[int, ...]:
    if SIMPLE_KEY in optional:
        return tuple(_Bytes(optional[SIMPLE_KEY]).numbers())
    return tuple(_Bytes(optional.get(PREFIX_KEY, b"")).numbers()[::2])
