"""The one way in: a source's binlog as a blocking iterator of transactions and statements, for a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

from otter.binlog.assembly import Assembler
from otter.binlog.connection import Dump, dump_error, open_dump
from otter.binlog.event import TRANSACTION_PAYLOAD
from otter.binlog.packet import Packets, ServerError
from otter.errors import OtterError, Retryable
from otter.model.batch import Position, Statement, Table, Transaction
from otter.model.config import DataSource

PIECE_BYTES = 8 * 1024 * 1024


class Stream:
    """``for item in stream`` yields, in commit order, ``Transaction`` (only with changes of wanted tables; giant ones
    in pieces of about ``piece_bytes``) and ``Statement`` (DDL), until ``stop`` is called. One use only.

    ``wanted(schema, table)`` is asked once for each table. ``position`` is the place after the last whole transaction
    that the consumer has *taken* (it took an item when it asks for the next), filtered ones included; it may be read
    from any thread. Raises Retryable (connection, silence of ten heartbeats, server id taken) or Fatal (access, purged
    binlog, events that must not be passed over)."""

    def __init__(
        self,
        source: DataSource,
        server_id: int,
        position: Position,
        wanted: Callable[[str, str], bool],
        piece_bytes: int = PIECE_BYTES,
        *,
        heartbeat: float = 1.0,
    ) -> None:
        self._source = source
        self._server_id = server_id
        self._heartbeat = heartbeat
        self._assembler = Assembler(position, wanted, piece_bytes)
        self._start = position
        self._position = position
        self._packets: Packets | None = None
        self._opened = time.monotonic()
        self._dump: Dump | None = None
        self._stopped = False

    @property
    def tables(self) -> list[Table]:
        """What ``Change.table`` points into: grows, never changes an entry."""
        return self._assembler.rows.tables

    @property
    def position(self) -> Position:
        return self._position

    @property
    def head_seen(self) -> float:
        """Monotonic time when the source last sent anything, heartbeats included."""
        return self._packets.received if self._packets else self._opened

    def stop(self) -> None:
        """Ends the iteration soon, also while it waits for the source. From any thread, any number of times."""
        self._stopped = True
        dump = self._dump
        if dump is not None:
            with contextlib.suppress(OSError):
                dump.socket.shutdown(socket.SHUT_RDWR)

    def __iter__(self) -> Iterator[Transaction | Statement]:
        if self._stopped:
            return
        self._dump = dump = open_dump(self._source, self._server_id, self._start, self._heartbeat)
        try:
            if dump.gtid:
                self._assembler.seed(dump.gtid)
            self._packets = packets = Packets(dump.socket)
            yield from self._items(packets)
            if not self._stopped:
                raise Retryable(f"{self._source.name} ended the binlog stream")
        except ServerError as error:
            if not self._stopped:
                raise dump_error(self._source, self._server_id, self._position, error) from None
        except OtterError:
            if not self._stopped:
                raise
        finally:
            dump.close()

    def _items(self, packets: Packets) -> Iterator[Transaction | Statement]:
        assembler = self._assembler
        feed, ready = assembler.feed, assembler.ready
        for event in packets:
            if self._stopped:
                return
            if event[4] == TRANSACTION_PAYLOAD:
                for _ in assembler.feed_payload(event, packets.received_wall):
                    while ready:
                        yield ready.popleft()
            else:
                feed(event, packets.received_wall)
                while ready:
                    yield ready.popleft()
            self._position = assembler.position
