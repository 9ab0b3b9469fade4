"""Events into whole transactions. Pure: bytes go in, transactions and statements come out; no server, no clock."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator
from zlib import crc32

from otter.binlog import event as ev
from otter.binlog.position import Cursor, contains
from otter.binlog.rows import CODES, Rows, Wanted
from otter.binlog.statement import Verb, touched, verb_of
from otter.errors import Damaged, Fatal, Retryable
from otter.model.batch import Change, Part, Position, Statement, Transaction

Handler = Callable[[bytes, int], None]

HIGH = ~0xFFFFFFFF
_header = ev.HEADER.unpack_from


class Assembler:
    """Feed it every event in order; take what is ``ready``. ``position`` is the place after the last whole
    transaction (wanted or not); ``rows.tables`` are the definitions changes point to.

    Invariant: ``ready`` never holds more than one piece of a transaction plus what one event made ready, so memory
    stays within two pieces and the largest event."""

    def __init__(self, position: Position, wanted: Wanted, piece_bytes: int) -> None:
        self.position = position
        self.rows = Rows(wanted)
        self.ready: deque[Transaction | Statement] = deque()
        self._wanted = wanted
        self._piece_bytes = piece_bytes
        self._cursor = Cursor(position)
        self._file = position.file
        self._high = position.offset & HIGH  # log positions are 32 bits wide; files may be larger
        self._low = position.offset & ~HIGH
        self._tail = 0  # bytes of checksum behind every event
        self._received = 0.0
        self._timestamp = 0
        self._server_id = 0
        self._mariadb = True
        self._open = False
        self._xa = False
        self._key: int | str = ""  # GTID domain (MariaDB) or source (MySQL) of the current transaction
        self._number = 0
        self._gtid = ""
        self._gtid_extra = 0
        self._committed = 0.0  # by the GTID event, 0.0 = it does not say
        self._changes: list[Change] = []
        self._size = 0
        self._pieces = 0
        self._handlers = self._make_handlers()

    def _make_handlers(self) -> dict[int, tuple[Handler, bool]]:
        handlers: dict[int, Handler] = {
            ev.FORMAT_DESCRIPTION: self._on_format,
            ev.ROTATE: self._on_rotate,
            ev.HEARTBEAT: self._on_heartbeat,
            ev.HEARTBEAT_V2: self._on_nothing,
            ev.QUERY: self._on_query,
            ev.QUERY_COMPRESSED: self._on_query_compressed,
            ev.EXECUTE_LOAD_QUERY: self._on_load_query,
            ev.XID: self._on_xid,
            ev.TABLE_MAP: self._on_table_map,
            ev.MARIADB_GTID: self._on_mariadb_gtid,
            ev.MARIADB_GTID_LIST: self._on_gtid_list,
            ev.GTID: self._on_gtid,
            ev.ANONYMOUS_GTID: self._on_anonymous,
            ev.GTID_TAGGED: self._on_gtid_tagged,
            ev.PREVIOUS_GTIDS: self._on_previous_gtids,
            ev.XA_PREPARE: self._on_xa_prepare,
            ev.PARTIAL_UPDATE_ROWS: self._on_partial_update,
            ev.INCIDENT: self._on_incident,
            **dict.fromkeys(ev.HARMLESS, self._on_nothing),
            **dict.fromkeys(CODES, self._on_rows),
        }
        return {code: (handler, code in _SELF_CHECKED) for code, handler in handlers.items()}

    def seed(self, gtid: str) -> None:
        """The GTID position that belongs to the start position, if the server could tell."""
        self._cursor.seed(gtid)
        self.position = self._cursor.position()

    def feed(self, event: bytes, received: float) -> None:
        """Takes one event (without the OK byte); ``received`` is the wall-clock time of its arrival.

        Damaged: wrong length or checksum. Fatal: an event that we must not pass over."""
        try:
            self._timestamp, code, self._server_id, size, low, _ = _header(event)
        except struct.error:
            raise Damaged("an event is shorter than its header") from None
        if size != len(event):
            raise Damaged(f"an event of type {code} says it has {size} bytes, but has {len(event)}")
        self._received = received
        if low >= self._low:
            self._low = low
        elif low and code in _PLACED:
            self._high += 1 << 32
            self._low = low
        found = self._handlers.get(code)
        if found is None:
            raise self._unknown(code)
        handler, checks_itself = found
        if self._tail and not checks_itself and crc32(event) != ev.RESIDUE:
            raise self._broken(event)
        handler(event, size - self._tail)

    def feed_payload(self, event: bytes, received: float) -> Iterator[None]:
        """Feeds the events inside a TRANSACTION_PAYLOAD, pausing after each so that what is ready can be taken."""
        tail = self._tail
        if tail and crc32(event) != ev.RESIDUE:
            raise self._broken(event)
        self._low = max(self._low, int.from_bytes(event[13:17], "little"))
        self._tail = 0
        for inner in ev.unwrap(event[ev.HEADER_SIZE : len(event) - tail]):
            # Their own end positions are places in the source's cache: the transaction ends where the payload does.
            self.feed(inner[:13] + b"\0\0\0\0" + inner[17:], received)
            yield
        self._tail = tail

    # what the events mean

    def _on_nothing(self, event: bytes, end: int) -> None:
        pass

    def _on_format(self, event: bytes, _end: int) -> None:
        found = ev.parse_format(event)
        self._mariadb = found.mariadb
        self._tail = 4 if found.checksum else 0
        self.rows.forget()
        self._abandon()

    def _abandon(self) -> None:
        """No transaction spans two files: one that is open here was cut off by a crash of the source."""
        if self._pieces:
            raise Retryable(f"the source crashed inside the giant transaction {self._gtid or 'here'}")
        self._forget_changes()
        self._open = False

    def _on_rotate(self, event: bytes, _end: int) -> None:
        """Artificial ones (at the start, after a crash) have a checksum or not, whatever the file says."""
        end = len(event) - 4 if crc32(event) == ev.RESIDUE else len(event)
        file, offset = ev.parse_rotate(event[ev.HEADER_SIZE : end])
        self._file, self._high, self._low = file, offset & HIGH, offset & ~HIGH
        if self._timestamp and not self._open:
            self._move_ahead()

    def _on_heartbeat(self, event: bytes, _end: int) -> None:
        """The end of the binlog while nothing is written: everything before it has been sent."""
        if event[ev.HEADER_SIZE :].startswith(self._file.encode()) and not self._open:
            self._move_ahead()

    def _on_mariadb_gtid(self, event: bytes, end: int) -> None:
        domain, number, flags, self._gtid_extra = ev.parse_mariadb_gtid(event, end)
        self._key = domain
        self._gtid = f"{domain}-{self._server_id}-{number}"
        self._xa = bool(flags & ev.PREPARED_XA)
        self._open = not flags & ev.STANDALONE

    def _on_gtid_list(self, event: bytes, end: int) -> None:
        if not self._cursor.has_gtid and self._at_file_start():
            self.seed(ev.parse_gtid_list(event[ev.HEADER_SIZE : end]))

    def _on_previous_gtids(self, event: bytes, end: int) -> None:
        if not self._cursor.has_gtid and self._at_file_start():
            self.seed(ev.parse_previous_gtids(event[ev.HEADER_SIZE : end]))

    def _at_file_start(self) -> bool:
        return self._cursor.file == self._file and self._cursor.offset <= 4

    def _on_gtid(self, event: bytes, end: int) -> None:
        self._take_gtid(ev.parse_gtid(event[ev.HEADER_SIZE : end]))

    def _on_gtid_tagged(self, event: bytes, end: int) -> None:
        self._take_gtid(ev.parse_gtid_tagged(event[ev.HEADER_SIZE : end]))

    def _on_anonymous(self, event: bytes, end: int) -> None:
        self._take_gtid(ev.parse_gtid(event[ev.HEADER_SIZE : end])._replace(source="", number=0))

    def _take_gtid(self, gtid: ev.MysqlGtid) -> None:
        self._key, self._number, self._committed = gtid.source, gtid.number, gtid.committed
        self._gtid = f"{gtid.source}:{gtid.number}" if gtid.source else ""
        self._open = False

    def _on_table_map(self, event: bytes, end: int) -> None:
        self.rows.learn(event[ev.HEADER_SIZE : end], self._mariadb)

    def _on_rows(self, event: bytes, end: int) -> None:
        """Rows of an unwanted table cost no more than this look; not even their checksum is computed."""
        mapped = self.rows.mapped(event)
        if mapped is None:
            return
        if self._tail and crc32(event) != ev.RESIDUE:
            raise self._broken(event)
        if self._xa:
            raise self._no_xa(mapped.table.address)
        change = self.rows.change(mapped, event, event[4], end)
        size = len(change.body)
        if self._changes and self._size + size > self._piece_bytes:
            self._emit_piece()
        self._changes.append(change)
        self._size += size

    def _on_xid(self, _event: bytes, _end: int) -> None:
        self._commit()

    def _on_xa_prepare(self, _event: bytes, _end: int) -> None:
        if self._changes or self._pieces:
            raise self._no_xa(self.rows.tables[self._changes[0].table].address)
        self._commit()

    def _on_query(self, event: bytes, end: int) -> None:
        self._judge(ev.parse_query(event[ev.HEADER_SIZE : end]))

    def _on_query_compressed(self, event: bytes, end: int) -> None:
        self._judge(ev.parse_query(event[ev.HEADER_SIZE : end], compressed=True))

    def _on_load_query(self, event: bytes, end: int) -> None:
        self._judge(ev.parse_query(event[ev.HEADER_SIZE : end], extra=13))

    def _judge(self, query: ev.Query) -> None:
        verb = verb_of(query.sql)
        if verb is Verb.BEGIN:
            self._open = True
        elif verb is Verb.COMMIT:
            self._commit()
        elif verb is Verb.ROLLBACK:
            self._roll_back()
        elif verb is Verb.ROLLBACK_TO:
            self._refuse_savepoint()
        elif verb is Verb.DML:
            self._refuse_text(query)
        elif verb is Verb.DDL and not self._gtid_extra & (ev.START_ALTER | ev.ROLLBACK_ALTER):
            self._emit_statement(query)
        elif not self._open:
            self._commit()

    # what comes out

    def _move(self) -> None:
        self._cursor.file, self._cursor.offset = self._file, self._high | self._low
        self.position = self._cursor.position()

    def _move_ahead(self) -> None:
        """Not back: after a start by GTID the server may begin in a file before the position's."""
        here = Position("", self._file, self._high | self._low)
        if not contains(self._cursor.place, here):
            self._move()

    def _finish(self) -> None:
        """The current transaction is behind us, whatever it held."""
        if self._gtid:
            if isinstance(self._key, int):
                self._cursor.add_mariadb(self._key, self._gtid)
            else:
                self._cursor.add_mysql(self._key, self._number)
        self._open = self._xa = False
        self._move()

    def _time(self) -> float:
        """Commit time: by the GTID event, else the arrival, held within the second that the event's header names."""
        if self._committed:
            return self._committed
        second, received = self._timestamp, self._received
        return received if second <= received <= second + 1 else float(second if received < second else second + 1)

    def _commit(self) -> None:
        self._finish()
        if self._changes or self._pieces:
            part = Part.LAST if self._pieces else Part.WHOLE
            self.ready.append(Transaction(self._gtid, self.position, self._time(), tuple(self._changes), part))
            self._forget_changes()
        self._gtid = ""

    def _emit_piece(self) -> None:
        part = Part.MIDDLE if self._pieces else Part.FIRST
        self.ready.append(Transaction(self._gtid, self.position, self._time(), tuple(self._changes), part))
        self._changes, self._size = [], 0
        self._pieces += 1

    def _forget_changes(self) -> None:
        self._changes, self._size, self._pieces = [], 0, 0

    def _emit_statement(self, query: ev.Query) -> None:
        """DDL inside a transaction (CREATE TABLE ... SELECT) goes before its rows and leaves the position alone."""
        gtid = self._gtid
        if not self._open:
            self._finish()
            self._gtid = ""
        self.ready.append(Statement(gtid, self.position, self._time(), query.schema, query.sql))

    def _roll_back(self) -> None:
        if self._pieces:
            raise Fatal(f"the giant transaction {self._gtid or 'here'} is rolled back in the binlog")
        self._forget_changes()
        self._commit()

    # what must not be passed over

    def _refuse_savepoint(self) -> None:
        if self._changes or self._pieces:
            raise Fatal("a transaction rolls back to a savepoint in the binlog", "do not mix engines in a transaction")

    def _refuse_text(self, query: ev.Query) -> None:
        table = touched(query.sql, query.schema, self._wanted)
        if table:
            raise Fatal(
                f"the source logged a change of {table} as a statement, not as rows",
                "set binlog_format=ROW on the source for all sessions, then start from a position after it",
            )
        if not self._open:
            self._commit()

    def _on_partial_update(self, _event: bytes, _end: int) -> None:
        raise Fatal("the source logs partial JSON updates", "SET GLOBAL binlog_row_value_options='' on the source")

    def _on_incident(self, _event: bytes, _end: int) -> None:
        raise Fatal("the source says that its binlog lost events (INCIDENT)", "copy the tables anew and start from now")

    @staticmethod
    def _no_xa(table: str) -> Fatal:
        return Fatal(f"an XA transaction changes {table}; they are not supported", "leave its tables out of the pairs")

    def _unknown(self, code: int) -> Fatal:
        return Fatal(
            f"unknown event type {code} in {self._file} near {self._high | self._low}",
            "this server writes events that this Otter does not know; passing over them could lose rows",
        )

    def _broken(self, event: bytes) -> Damaged:
        return Damaged(
            f"an event of type {event[4]} in {self._file} near {self._high | self._low} has a wrong checksum"
        )


#: Events whose end position is one in the file (artificial ones and heartbeats may say something older).
_PLACED = frozenset(
    {ev.QUERY, ev.XID, ev.TABLE_MAP, ev.MARIADB_GTID, ev.GTID, ev.GTID_TAGGED, ev.QUERY_COMPRESSED, *CODES}
)
#: Checked by their handlers, or not at all: a FORMAT_DESCRIPTION comes with its in-use flag changed.
_SELF_CHECKED = frozenset({ev.FORMAT_DESCRIPTION, ev.ROTATE, ev.HEARTBEAT, ev.HEARTBEAT_V2, *CODES})
