"""Rows as they came, handed to a server again: the text of a BINLOG statement (what ``mariadb-binlog`` writes).

The server stores the images without parsing a value, so nothing is decoded here either. It knows columns by place and
trusts that they mean the same: whether they do is for the caller to judge. MariaDB only; needs BINLOG REPLAY there.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence

from otter.binlog import event as ev
from otter.binlog import types as t
from otter.binlog.tablemap import META_BYTES
from otter.model.batch import Change, Column, Table

#: Column types whose description in a TABLE_MAP we write.
TYPES = frozenset({
    t.TINY, t.SHORT, t.INT24, t.LONG, t.LONGLONG, t.FLOAT, t.DOUBLE, t.NEWDECIMAL, t.YEAR, t.BIT, t.ENUM, t.SET, t.DATE,
    t.TIMESTAMP2, t.DATETIME2, t.TIME2, t.VARCHAR, t.VAR_STRING, t.STRING, t.BLOB,
})  # fmt: skip

STATEMENT_END, NO_FOREIGN_KEY_CHECKS = 1, 2
_TABLE_ID = (1).to_bytes(6, "little")  # each statement brings its own map
_CODES = 171  # event codes that a MariaDB describes
#: Bytes of the fixed head by event code; 0 for what we never send.
_HEADS = {ev.FORMAT_DESCRIPTION: 57 + _CODES, ev.TABLE_MAP: 8, ev.WRITE_ROWS_V1: 8}


def format_description(version: str) -> bytes:
    """The statement that must come first in a session: how our events look. ``version`` is the server's."""
    sizes = bytes(_HEADS.get(code, 0) for code in range(1, _CODES + 1))
    body = struct.pack("<H50sIB", 4, version.encode()[:49], 0, ev.HEADER_SIZE) + sizes
    return _statement([_event(ev.FORMAT_DESCRIPTION, 0, body + b"\0" * 5)])  # no checksums


def insert(table: Table, changes: Sequence[Change], server_id: int, *, unchecked: bool) -> bytes:
    """Inserts the rows of ``changes`` (whole after images of ``table``), logged as if ``server_id`` had written them.
    ``unchecked``: without foreign key checks."""
    flags = STATEMENT_END | (NO_FOREIGN_KEY_CHECKS if unchecked else 0)
    head = _TABLE_ID + struct.pack("<H", flags) + _length(len(table.columns))
    rows = b"".join([head, changes[0].after, *[change.body for change in changes]])
    return _statement([_event(ev.TABLE_MAP, server_id, _map(table)), _event(ev.WRITE_ROWS_V1, server_id, rows)])


def _statement(events: list[bytes]) -> bytes:
    return b"BINLOG '" + base64.b64encode(b"".join(events)) + b"'"


def _event(code: int, server_id: int, body: bytes) -> bytes:
    return ev.HEADER.pack(0, code, server_id, ev.HEADER_SIZE + len(body), 0, 0) + body


def _map(table: Table) -> bytes:
    schema, name = table.schema.encode(), table.name.encode()
    kinds = [_described(column) for column in table.columns]
    metas = b"".join(meta for _, meta in kinds)
    nulls = sum(1 << i for i, column in enumerate(table.columns) if column.nullable)
    return b"".join((
        _TABLE_ID, b"\1\0", bytes([len(schema)]), schema, b"\0", bytes([len(name)]), name, b"\0",
        _length(len(kinds)), bytes(code for code, _ in kinds), _length(len(metas)), metas,
        nulls.to_bytes((len(kinds) + 7) // 8, "little"),
    ))  # fmt: skip


def _described(column: Column) -> tuple[int, bytes]:
    """The type code and metadata bytes: what :mod:`otter.binlog.tablemap` takes apart, put together again."""
    if column.type in (t.ENUM, t.SET):
        return t.STRING, bytes([column.type, column.meta])
    if column.type == t.STRING:
        return t.STRING, bytes([t.STRING ^ (column.meta & 0x300) >> 4, column.meta & 255])
    return column.type, column.meta.to_bytes(META_BYTES.get(column.type, 0), "little")


def _length(number: int) -> bytes:
    """A length-encoded integer."""
    return bytes([number]) if number < 251 else b"\xfc" + number.to_bytes(2, "little")
