"""The assembler and the parsers on bytes made by hand: MySQL's events, damage, and what no server here can provoke."""

from __future__ import annotations

import struct
import zlib

import pytest
import zstandard

from otter.binlog import event as ev
from otter.binlog import tablemap
from otter.binlog.assembly import Assembler
from otter.binlog.decoder import counter, literals, values
from otter.binlog.jsonb import json_text
from otter.binlog.statement import Verb, touched, verb_of
from otter.errors import Damaged, Fatal, Retryable
from otter.model.batch import Column, Kind, Part, Position, Statement, Table, Transaction

UUID = bytes.fromhex("3e11fa4771ca11e19e33c80aa9429562")
SOURCE = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
NOW = 1_700_000_000


class Log:
    """Writes events as a MySQL server does."""

    def __init__(self, checksum: bool = True, version: str = "9.7.4") -> None:
        self.checksum = checksum
        self.at = 4
        self.version = version

    def event(self, code: int, body: bytes, low: int | None = None, plain: bool = False) -> bytes:
        tail = 4 if self.checksum and not plain else 0
        size = 19 + len(body) + tail
        self.at += size
        place = self.at & 0xFFFFFFFF if low is None else low
        data = ev.HEADER.pack(NOW, code, 1, size, place, 0) + body
        return data + zlib.crc32(data).to_bytes(4, "little") if tail else data

    def format(self) -> bytes:
        body = struct.pack("<H50sIB", 4, self.version.encode(), NOW, 19) + bytes(40) + bytes([int(self.checksum)])
        return self.event(ev.FORMAT_DESCRIPTION, body + (b"" if self.checksum else bytes(4)))

    def gtid(self, number: int, micro: int = 0) -> bytes:
        body = bytes([1]) + UUID + struct.pack("<QBQQ", number, 2, 0, 1)
        return self.event(ev.GTID, body + (micro.to_bytes(7, "little") if micro else b""))

    def query(self, sql: str, schema: str = "d", **options: bool) -> bytes:
        name, status = schema.encode(), b"\x15\x01\x02"  # a status variable that nobody knows
        head = struct.pack("<IIBHH", 1, 0, len(name), 0, len(status))
        return self.event(ev.QUERY, head + status + name + b"\0" + sql.encode(), **options)

    def table_map(self, **options: bool) -> bytes:
        return self.event(ev.TABLE_MAP, table_map_body(), **options)

    def rows(self, *numbers: int, code: int = ev.WRITE_ROWS, **options: bool) -> bytes:
        body = struct.pack("<IHHH", 77, 0, 1, 2) + b"\x01\xff"
        return self.event(code, body + b"".join(b"\0" + struct.pack("<i", number) for number in numbers), **options)

    def xid(self, **options: bool) -> bytes:
        return self.event(ev.XID, bytes(8), **options)


def table_map_body(names: bool = True, extra: bytes = b"") -> bytes:
    optional = b"\x01\x01\x00" + (b"\x04\x03\x02id" if names else b"") + b"\x08\x01\x00" + extra
    return struct.pack("<IHH", 77, 0, 1) + b"\x01d\0\x01t\0" + b"\x01\x03" + b"\x00" + b"\x00" + optional


def assembled(*events: bytes, position: Position | None = None, piece_bytes: int = 1 << 20) -> Assembler:
    assembler = Assembler(position or Position(f"{SOURCE}:1-4", "f.000001", 4), lambda *_: True, piece_bytes)
    for event in events:
        if event[4] == ev.TRANSACTION_PAYLOAD:
            list(assembler.feed_payload(event, NOW + 0.25))
        else:
            assembler.feed(event, NOW + 0.25)
    return assembler


def only(assembler: Assembler) -> Transaction:
    (item,) = assembler.ready
    assert isinstance(item, Transaction)
    return item


@pytest.mark.parametrize("checksum", [True, False])
def test_a_mysql_transaction(checksum: bool) -> None:
    log = Log(checksum)
    micro = NOW * 1_000_000 + 123_456
    events = [log.format(), log.gtid(5, micro), log.query("BEGIN"), log.table_map(), log.rows(1, -2), log.xid()]
    assembler = assembled(*events)
    transaction = only(assembler)
    assert transaction.gtid == f"{SOURCE}:5"
    assert transaction.position == assembler.position == Position(f"{SOURCE}:1-5", "f.000001", log.at)
    assert transaction.committed == pytest.approx(NOW + 0.123456)
    (change,) = transaction.changes
    table = assembler.rows.tables[change.table]
    assert not table.mariadb and table.key == (0,)
    assert literals(table, change.kind, change.before, change.after)(change.body) == [(b"1",), (b"-2",)]


def test_ddl_of_mysql() -> None:
    log = Log()
    assembler = assembled(log.format(), log.gtid(5), log.query("CREATE TABLE x (a INT)"), log.gtid(6))
    (statement,) = assembler.ready
    assert isinstance(statement, Statement)
    assert (statement.schema, statement.gtid) == ("d", f"{SOURCE}:5")
    assert statement.position.gtid == f"{SOURCE}:1-5"
    assert statement.committed == NOW + 0.25  # the GTID event does not say, so the arrival


def payload(log: Log, *events: bytes, kind: int = 0) -> bytes:
    inner = b"".join(events)
    data = zstandard.compress(inner) if kind == 0 else inner
    size = struct.pack("<BH", 252, len(data))
    head = b"\x01\x03" + size + b"\x02\x01" + bytes([kind if kind < 251 else 0]) + b"\x00"
    if kind == 255:
        head = b"\x01\x03" + size + b"\x02\x03\xfc\xff\x00" + b"\x00"
    return log.event(ev.TRANSACTION_PAYLOAD, head + data)


@pytest.mark.parametrize("kind", [0, 255])
def test_a_compressed_transaction_of_mysql(kind: int) -> None:
    log = Log()
    start = [log.format(), log.gtid(5)]
    inner = [log.query("BEGIN", plain=True), log.table_map(plain=True), log.rows(7, plain=True), log.xid(plain=True)]
    log.at = 500
    whole = payload(log, *inner, kind=kind)
    assembler = assembled(*start, whole)
    assert only(assembler).changes[0].rows == 1
    assert assembler.position == Position(f"{SOURCE}:1-5", "f.000001", log.at)


def test_a_compressed_transaction_that_ends_early() -> None:
    log = Log()
    inner = log.query("BEGIN", plain=True)
    with pytest.raises(Damaged, match="inside an event"):
        assembled(log.format(), log.gtid(5), payload(log, inner, inner[:-1]))


def varlen(value: int) -> bytes:
    if value < 128:
        return bytes([value << 1])
    extra = (value.bit_length() - 1) // 7
    return (
        (value << (extra + 1) | (1 << extra) - 1).to_bytes(extra + 1, "little")
        if extra < 8
        else b"\xff" + value.to_bytes(8, "little")
    )


def test_tagged_gtid() -> None:
    fields = [(0, varlen(1)), (1, b"".join(varlen(byte) for byte in UUID)), (2, varlen(300 << 1))]
    fields += [(3, varlen(3) + b"tag"), (4, varlen(9 << 1)), (5, varlen(10 << 1)), (6, varlen(NOW * 1_000_000 + 5))]
    body = varlen(1) + varlen(99) + varlen(8) + b"".join(varlen(number) + value for number, value in fields)
    gtid = ev.parse_gtid_tagged(body)
    assert (gtid.source, gtid.number) == (f"{SOURCE}:tag", 300)
    assert gtid.committed == pytest.approx(NOW + 5e-6)
    log = Log()
    events = [
        log.format(),
        log.event(ev.GTID_TAGGED, body),
        log.query("BEGIN"),
        log.table_map(),
        log.rows(1),
        log.xid(),
    ]
    assert assembled(*events).position.gtid == f"{SOURCE}:1-4,{SOURCE}:tag:300"


def test_previous_gtids() -> None:
    plain = struct.pack("<Q", 1) + UUID + struct.pack("<QQQQQ", 2, 1, 4, 6, 7)
    assert ev.parse_previous_gtids(plain) == f"{SOURCE}:1-3:6-6"
    head = 1 << 56 | 2 << 8 | 1
    tagged = (
        struct.pack("<Q", head)
        + UUID
        + b"\0"
        + struct.pack("<QQQ", 1, 1, 4)
        + UUID
        + b"\x06tag"
        + struct.pack("<QQQ", 1, 2, 3)
    )
    assert ev.parse_previous_gtids(tagged) == f"{SOURCE}:1-3,{SOURCE}:tag:2-2"


def test_a_start_by_file_learns_gtids_at_the_next_file() -> None:
    log = Log()
    previous = log.event(ev.PREVIOUS_GTIDS, struct.pack("<Q", 1) + UUID + struct.pack("<QQQ", 1, 1, 5))
    events = [log.format(), previous, log.gtid(5), log.query("BEGIN"), log.table_map(), log.rows(1), log.xid()]
    assert assembled(*events, position=Position("", "f.000001", 4)).position.gtid == f"{SOURCE}:1-5"
    assert assembled(*events, position=Position("", "f.000001", 999)).position.gtid == ""


def test_offsets_beyond_4_gib() -> None:
    log = Log()
    big = (1 << 32) - 100
    events = [log.format(), log.event(ev.ROTATE, struct.pack("<Q", big) + b"f.000001", low=0)]
    log.at = big
    for number in (5, 6):
        events += [log.gtid(number), log.query("BEGIN"), log.table_map(), log.rows(1), log.xid()]
    assert assembled(*events).position.offset == log.at > 1 << 32


def test_unknown_event_is_named() -> None:
    log = Log()
    with pytest.raises(Fatal, match="unknown event type 99"):
        assembled(log.format(), log.event(99, b"?"))


def test_refused_events() -> None:
    log = Log()
    with pytest.raises(Fatal, match="binlog_row_value_options"):
        assembled(log.format(), log.event(ev.PARTIAL_UPDATE_ROWS, b""))
    with pytest.raises(Fatal, match="INCIDENT"):
        assembled(log.format(), log.event(ev.INCIDENT, b"\1\0\0"))


def test_flipped_bits() -> None:
    """In every event of a transaction; an unwanted table's rows are not even looked at."""
    log = Log()
    events = [log.format(), log.gtid(5), log.query("BEGIN"), log.table_map(), log.rows(1), log.xid()]
    for place in range(1, len(events)):
        spoilt = bytearray(events[place])
        spoilt[-6] ^= 1
        with pytest.raises(Damaged, match="checksum"):
            assembled(*events[:place], bytes(spoilt))


def test_wrong_lengths() -> None:
    log = Log()
    assembler = assembled(log.format())
    with pytest.raises(Damaged, match="shorter than its header"):
        assembler.feed(b"\0" * 10, NOW)
    with pytest.raises(Damaged, match="says it has"):
        assembler.feed(log.xid()[:-1], NOW)


def test_rows_without_table_map() -> None:
    log = Log()
    with pytest.raises(Damaged, match="TABLE_MAP"):
        assembled(log.format(), log.rows(1))


def test_names_are_missing() -> None:
    with pytest.raises(Fatal, match="binlog_row_metadata=FULL"):
        tablemap.parse(table_map_body(names=False)[8:], mariadb=False)


def test_unknown_metadata_is_passed_over_and_short_maps_are_damaged() -> None:
    table = tablemap.parse(table_map_body(extra=b"\x7f\x02xx")[8:], mariadb=False)
    assert [column.name for column in table.columns] == ["id"]
    for size in range(len(table_map_body()) - 8):
        with pytest.raises((Damaged, Fatal)):
            short = tablemap.parse(table_map_body()[8 : 8 + size], mariadb=False)
            if not short.key:  # cut exactly before the last optional field: a complete map without it
                raise Damaged("complete")


def test_a_source_that_crashed_inside_a_transaction() -> None:
    log = Log()
    begun = [log.format(), log.gtid(5), log.query("BEGIN"), log.table_map(), log.rows(1)]
    again = [log.format(), log.gtid(5), log.query("BEGIN"), log.table_map(), log.rows(2), log.xid()]
    assert only(assembled(*begun, *again)).changes[0].body == b"\0\x02\0\0\0"
    with pytest.raises(Retryable, match="giant"):
        assembled(*begun, log.rows(2), log.rows(3), log.format(), piece_bytes=4)


def test_pieces_and_rollback() -> None:
    log = Log()
    events = [log.format(), log.gtid(5), log.query("BEGIN"), log.table_map(), log.rows(1), log.rows(2), log.rows(3)]
    assembler = assembled(*events, log.xid(), piece_bytes=4)
    assert [item.part for item in assembler.ready if isinstance(item, Transaction)] == [
        Part.FIRST, Part.MIDDLE, Part.LAST,
    ]  # fmt: skip
    with pytest.raises(Fatal, match="rolled back"):
        assembled(*events, log.query("ROLLBACK"), piece_bytes=4)
    assert not assembled(*events[:5], log.query("ROLLBACK")).ready


def test_xa_is_refused_only_where_it_matters() -> None:
    log = Log()
    start = [log.format(), log.gtid(5), log.query("XA START 'x'")]
    empty = assembled(*start, log.query("XA END 'x'"), log.event(ev.XA_PREPARE, bytes(10)))
    assert not empty.ready and empty.position.gtid == f"{SOURCE}:1-5"
    with pytest.raises(Fatal, match="XA"):
        assembled(*start, log.table_map(), log.rows(1), log.event(ev.XA_PREPARE, bytes(10)))


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        ("BEGIN", Verb.BEGIN),
        ("COMMIT", Verb.COMMIT),
        ("rollback", Verb.ROLLBACK),
        ("ROLLBACK TO `s`", Verb.ROLLBACK_TO),
        ("SAVEPOINT `s`", Verb.NOTHING),
        ("XA END 'x'", Verb.NOTHING),
        ("# Dummy event", Verb.NOTHING),
        ("/* hi */ insert into t values (1)", Verb.DML),
        ("-- x\nUPDATE t SET a=1", Verb.DML),
        ("LOAD DATA INFILE", Verb.DML),
        ("CREATE TABLE t (a INT)", Verb.DDL),
        ("/*!40000 ALTER TABLE t DISABLE KEYS */", Verb.DDL),
        ("TRUNCATE t", Verb.DDL),
    ],
)
def test_verbs(sql: str, verb: Verb) -> None:
    assert verb_of(sql) is verb


def test_touched_tables() -> None:
    def wanted(schema: str, table: str) -> bool:
        return (schema, table) in {("shop", "orders"), ("d", "t`x")}

    assert touched("INSERT INTO orders VALUES (1)", "shop", wanted) == "shop.orders"
    assert touched("UPDATE `shop` . `orders` SET a=1", "d", wanted) == "shop.orders"
    assert touched("DELETE FROM `t``x`", "d", wanted) == "d.t`x"
    assert touched("INSERT INTO log VALUES ('orders', \"orders\", 'it''s orders')", "shop", wanted) == ""


TABLE = Table(
    "d", "t", (Column("a", 3, nullable=False), Column("b", 15, 20, collation=45), Column("c", 252, 3, collation=63))
)
BODY = b"\x00" + struct.pack("<i", 5) + b"\x02hi" + b"\x01\x00\x00\xff" + b"\x06" + struct.pack("<i", 6)


def test_damaged_bodies() -> None:
    """Any cut or trailing byte is noticed by every product."""
    shape = (TABLE, Kind.INSERT, b"", b"\x07")
    assert counter(*shape)(BODY) == 2
    assert literals(*shape)(BODY) == [(b"5", b"'hi'", b"_binary'\xff'"), (b"6", b"NULL", b"NULL")]
    assert values(*shape)(BODY) == [(5, "hi", {"hex": "ff"}), (6, None, None)]
    ends = {0, 12, len(BODY)}
    for product in (counter, literals, values):
        for size in range(len(BODY) + 1):
            if size not in ends:
                with pytest.raises(Damaged, match=r"d\.t"):
                    product(*shape)(BODY[:size])
        with pytest.raises(Damaged):
            product(*shape)(BODY + b"\0")


def test_unknown_column_type_is_named() -> None:
    with pytest.raises(Fatal, match="unknown binlog type 99"):
        literals(Table("d", "t", (Column("a", 99),)), Kind.INSERT, b"", b"\x01")


def test_json_of_mysql() -> None:
    """{"a": 1, "b": [true, null, "x'"], "c": 1.5} and scalars, as the server stores them."""
    inner = struct.pack("<HH", 3, 16) + b"\x04\x01\x00" + b"\x04\x00\x00" + b"\x0c" + struct.pack("<H", 13) + b"\x02x'"
    keys_at, array_at = 4 + 3 * 4 + 3 * 3, 4 + 3 * 4 + 3 * 3 + 3
    double_at = array_at + len(inner)
    body = struct.pack("<HH", 3, double_at + 8)
    body += b"".join(struct.pack("<HH", keys_at + i, 1) for i in range(3))
    body += b"\x05\x01\x00" + b"\x02" + struct.pack("<H", array_at) + b"\x0b" + struct.pack("<H", double_at)
    body += b"abc" + inner + struct.pack("<d", 1.5)
    assert json_text(b"\x00" + body) == b'{"a": 1, "b": [true, null, "x\'"], "c": 1.5}'
    assert json_text(b'\x0c\x04\xe4\xb8\xad"') == '"中\\""'.encode()
    assert json_text(b"\x0a" + b"\xff" * 8) == b"18446744073709551615"
    assert json_text(b"\x0f\xf6\x07\x0a\x02\x80\x00\x00\x0c\x22") == b"12.34"
    packed = ((2026 * 13 + 11) << 5 | 23) << 17 | 12 << 12 | 34 << 6 | 56
    assert json_text(b"\x0f\x0c\x08" + struct.pack("<q", packed << 24 | 7)) == b'"2026-11-23 12:34:56.000007"'
    assert json_text(b"\x0f\x0b\x08" + struct.pack("<q", -(1 << 36))) == b'"-01:00:00.000000"'
    assert json_text(b"\x0f\xfc\x02ab") == b'"base64:type252:YWI="'
    assert json_text(b"") == b"null"
    with pytest.raises(Damaged):
        json_text(b"\x00\x05\x00")
