"""Binlog events that are not rows: codes, header, GTIDs, queries, rotation, compressed transactions. Pure functions.

Every ``body`` begins after the 19 bytes of the common header and ends before the checksum.
Formats: MySQL's "Binlog event" pages and MariaDB's "Replication protocol" pages.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import zstandard

from otter.errors import Damaged, Fatal

HEADER = struct.Struct("<IBIIIH")  # timestamp, code, server id, size, end position (32 bits!), flags
HEADER_SIZE = HEADER.size
ARTIFICIAL = 0x20  # header flag: made by the dump thread, not in the file
#: CRC-32 over data followed by its own CRC-32 (little-endian) is always this, so no slicing is needed to check it.
RESIDUE = 0x2144DF1C

QUERY, STOP, ROTATE, FORMAT_DESCRIPTION, XID, TABLE_MAP = 2, 3, 4, 15, 16, 19
WRITE_ROWS_V1, UPDATE_ROWS_V1, DELETE_ROWS_V1, INCIDENT, HEARTBEAT = 23, 24, 25, 26, 27
WRITE_ROWS, UPDATE_ROWS, DELETE_ROWS = 30, 31, 32
EXECUTE_LOAD_QUERY, GTID, ANONYMOUS_GTID, PREVIOUS_GTIDS, XA_PREPARE = 18, 33, 34, 35, 38
PARTIAL_UPDATE_ROWS, TRANSACTION_PAYLOAD, HEARTBEAT_V2, GTID_TAGGED = 39, 40, 41, 42
MARIADB_GTID, MARIADB_GTID_LIST, QUERY_COMPRESSED = 162, 163, 165

#: Known, and nothing in them concerns rows.
HARMLESS = {
    STOP: "end of a file",
    5: "INTVAR: context of a statement, which is judged itself",
    9: "APPEND_BLOCK: data of LOAD DATA, whose statement is judged",
    11: "DELETE_FILE: the same",
    13: "RAND: context of a statement",
    14: "USER_VAR: context of a statement",
    17: "BEGIN_LOAD_QUERY: data of LOAD DATA",
    28: "IGNORABLE",
    29: "ROWS_QUERY: the statement's text, for people",
    36: "TRANSACTION_CONTEXT: group replication",
    37: "VIEW_CHANGE: group replication",
    160: "ANNOTATE_ROWS: the statement's text, for people",
    161: "BINLOG_CHECKPOINT",
    164: "START_ENCRYPTION: the dump thread sends all events decrypted",
}

STANDALONE, GROUP_COMMIT, PREPARED_XA, COMPLETED_XA = 1, 2, 64, 128  # MariaDB GTID flags
START_ALTER, ROLLBACK_ALTER = 2, 8  # ... and extra flags


@dataclass(frozen=True)
class Format:
    """What a FORMAT_DESCRIPTION event says."""

    version: str
    checksum: bool

    @property
    def mariadb(self) -> bool:
        return "mariadb" in self.version.lower()


def parse_format(event: bytes) -> Format:
    """``event`` is whole: since MySQL 5.6.1 it ends with the checksum algorithm and four bytes, checksum on or off."""
    version = event[21:71].rstrip(b"\0").decode("ascii", "replace")
    return Format(version, event[-5] == 1)


def parse_rotate(body: bytes) -> tuple[str, int]:
    """The next file and the offset in it."""
    return body[8:].decode(), int.from_bytes(body[:8], "little")


class Query(NamedTuple):
    schema: str
    sql: str


def parse_query(body: bytes, extra: int = 0, compressed: bool = False) -> Query:
    """Default schema and text. ``extra`` is 13 for EXECUTE_LOAD_QUERY. The status block is skipped by its length: new
    servers put keys into it that nobody knows."""
    schema_size, status_size = body[8], int.from_bytes(body[11:13], "little")
    start = 13 + extra + status_size
    schema = body[start : start + schema_size].decode("utf-8", "replace")
    text = body[start + schema_size + 1 :]
    if compressed:
        text = uncompress(text)
    try:
        return Query(schema, text.decode())
    except UnicodeDecodeError:
        return Query(schema, text.decode("latin-1"))  # an old client's DDL; its keywords are ASCII all the same


def uncompress(data: bytes) -> bytes:
    """MariaDB's compressed part: a head byte (bit 7 set, algorithm 0 = zlib, length bytes), the length, the data."""
    if not data or data[0] & 0xF0 != 0x80:
        raise Damaged("a compressed event has an unknown head")
    start = 1 + (data[0] & 7)
    try:
        plain = zlib.decompress(data[start:])
    except zlib.error:
        raise Damaged("a compressed event cannot be unpacked") from None
    if len(plain) != int.from_bytes(data[1:start], "big"):
        raise Damaged("a compressed event has another length than it says")
    return plain


_MARIADB_GTID = struct.Struct("<QIB").unpack_from


def parse_mariadb_gtid(event: bytes, end: int) -> tuple[int, int, int, int]:
    """Domain, sequence number, flags and extra flags. Takes the whole event: this is on every transaction's way."""
    number, domain, flags = _MARIADB_GTID(event, HEADER_SIZE)
    at = HEADER_SIZE + 13 + (8 if flags & GROUP_COMMIT else 0)
    if flags & (PREPARED_XA | COMPLETED_XA):
        at += 6 + event[at + 4] + event[at + 5]
    return domain, number, flags, event[at] if at < end else 0


def parse_gtid_list(body: bytes) -> str:
    """MariaDB's GTID position at the start of a file: the last of each domain (later entries are newer)."""
    count = int.from_bytes(body[:4], "little") & 0xFFFFFFF
    found: dict[int, str] = {}
    for domain, server, number in struct.iter_unpack("<IIQ", body[4 : 4 + 16 * count]):
        found[domain] = f"{domain}-{server}-{number}"
    return ",".join(found[domain] for domain in sorted(found))


class MysqlGtid(NamedTuple):
    """``source`` is ``uuid`` or ``uuid:tag``; ``committed`` seconds since the epoch on this server, 0.0 = unknown."""

    source: str
    number: int
    committed: float


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_gtid(body: bytes) -> MysqlGtid:
    """GTID and ANONYMOUS_GTID events."""
    number = int.from_bytes(body[17:25], "little")
    micro = int.from_bytes(body[42:49], "little") & ((1 << 55) - 1) if len(body) >= 49 else 0
    return MysqlGtid(_uuid(body[1:17]), number, micro / 1e6)


def parse_gtid_tagged(body: bytes) -> MysqlGtid:
    """GTID_TAGGED (MySQL 8.3+): fields by number, in the server's own serialization."""
    reader = _Varlen(body)
    reader.unsigned(), reader.unsigned(), reader.unsigned()  # format version, size, last field that must be known
    uuid, number, tag, micro = b"", 0, "", 0
    while reader.at < len(body):
        which = reader.unsigned()
        if which == 1:
            uuid = bytes(reader.unsigned() for _ in range(16))
        elif which == 2:
            number = reader.signed()
        elif which == 3:
            tag = reader.text()
        elif which == 6:
            micro = reader.unsigned()
            break  # the fields come in order and nothing after it is needed
        else:
            reader.signed() if which in (4, 5) else reader.unsigned()
    source = _uuid(uuid) + (f":{tag}" if tag else "")
    return MysqlGtid(source, number, micro / 1e6)


class _Varlen:
    """MySQL's variable-length integers: as many one bits at the low end of the first byte as bytes follow."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def unsigned(self) -> int:
        first = self.data[self.at]
        extra = (~first & (first + 1)).bit_length() - 1 if first != 255 else 8
        raw = int.from_bytes(self.data[self.at : self.at + extra + 1], "little")
        self.at += extra + 1
        return raw >> min(extra + 1, 8)

    def signed(self) -> int:
        raw = self.unsigned()
        return ~(raw >> 1) if raw & 1 else raw >> 1

    def text(self) -> str:
        size = self.unsigned()
        self.at += size
        return self.data[self.at - size : self.at].decode()


def parse_previous_gtids(body: bytes) -> str:
    """MySQL's executed GTID set at the start of a file; both encodings, with and without tags."""
    head = int.from_bytes(body[:8], "little")
    tagged = head >> 56 == 1
    count = head >> 8 & ((1 << 48) - 1) if tagged else head
    at, uuid, members = 8, "", []
    for _ in range(count):
        uuid = _uuid(body[at : at + 16])
        at += 16
        tag = ""
        if tagged:
            size = body[at] >> 1
            tag = body[at + 1 : at + 1 + size].decode()
            at += 1 + size
        intervals = int.from_bytes(body[at : at + 8], "little")
        at += 8
        pairs = struct.iter_unpack("<QQ", body[at : at + 16 * intervals])
        at += 16 * intervals
        members.append(":".join([uuid, *([tag] if tag else []), *(f"{low}-{high - 1}" for low, high in pairs)]))
    return ",".join(members)


def unwrap(body: bytes) -> Iterator[bytes]:
    """The events inside a TRANSACTION_PAYLOAD, one at a time (they carry no checksum)."""
    kind, start = _payload_head(body)
    if kind == 255:
        plain: Iterator[bytes] = iter((body[start:],))
    elif kind == 0:
        plain = zstandard.ZstdDecompressor().read_to_iter(body[start:])
    else:
        raise Fatal(f"the source compresses transactions with the unknown method {kind}")
    rest = b""
    try:
        for piece in plain:
            rest += piece
            while len(rest) >= HEADER_SIZE and len(rest) >= (size := int.from_bytes(rest[9:13], "little")):
                yield rest[:size]
                rest = rest[size:]
    except zstandard.ZstdError:
        raise Damaged("a compressed transaction cannot be unpacked") from None
    if rest:
        raise Damaged("a compressed transaction ends inside an event")


def _payload_head(body: bytes) -> tuple[int, int]:
    """Compression type and where the payload begins."""
    at, kind = 0, 255
    while at < len(body):
        field, at = _lenenc(body, at)
        if field == 0:
            return kind, at
        size, at = _lenenc(body, at)
        if field == 2:
            kind, _ = _lenenc(body, at)
        at += size
    raise Damaged("a compressed transaction has no payload")


def _lenenc(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 251:
        return first, at + 1
    size = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size
