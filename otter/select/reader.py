"""The reader's thread: a binlog stream on one end, a bounded queue that asyncio takes from on the other.

The queue is bounded by bytes of row images, so a source that is faster than the target waits in its own binlog.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import threading

from otter.binlog.stream import Stream
from otter.errors import OtterError, Retryable
from otter.model.batch import Part, Statement, Table, Transaction
from otter.select.echo import EchoFilter, Origin

log = logging.getLogger("otter.select")


class Reader:
    """Reads ``stream`` on a thread of its own. ``bell`` rings on the loop when there is something to take."""

    def __init__(self, stream: Stream, echoes: EchoFilter, budget: int) -> None:
        self.stream = stream
        #: Up to here nothing but positions was written since the run before: no reason to write one in turn.
        self.quiet = stream.position
        self.bell = asyncio.Event()
        self.statements: list[Statement] = []  # DDL that went by, for the side to report
        self.error: OtterError | None = None
        self._echoes = echoes
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self._items: collections.deque[tuple[int, Transaction]] = collections.deque()
        self._bytes = 0
        self._stopped = False
        self._lock = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="binlog", daemon=True)

    @property
    def tables(self) -> list[Table]:
        return self.stream.tables

    def start(self) -> None:
        self._thread.start()

    async def close(self, timeout: float = 10.0) -> None:
        with self._lock:
            self._stopped = True
            self._lock.notify_all()
        self.stream.stop()
        await asyncio.to_thread(self._thread.join, timeout)

    def drain(self, most_bytes: int) -> list[Transaction]:
        """What is there, oldest first, up to about ``most_bytes``; a piece of a giant transaction comes alone."""
        taken: list[Transaction] = []
        size = 0
        with self._lock:
            while self._items and size < most_bytes:
                length, item = self._items[0]
                if item.part is not Part.WHOLE:
                    if not taken:
                        taken.append(self._items.popleft()[1])
                        size += length
                    break
                self._items.popleft()
                taken.append(item)
                size += length
            self._bytes -= size
            self._lock.notify_all()
        return taken

    @property
    def waiting(self) -> int:
        """Transactions read and not taken yet."""
        return len(self._items)

    def _run(self) -> None:
        try:
            for item in self.stream:
                if isinstance(item, Statement):
                    self.statements.append(item)
                else:
                    self._take(item)
                if self._stopped:
                    return
        except OtterError as error:
            self.error = error
        except Exception as error:
            log.exception("the binlog reader failed")
            self.error = Retryable(f"the binlog reader failed: {type(error).__name__}: {error}")
        else:
            if not self._stopped:
                self.error = Retryable("the source ended the binlog stream")
        self._ring()

    def _take(self, item: Transaction) -> None:
        origin, rest = self._echoes.look(item, self.stream.tables)
        if origin is Origin.APPLICATION:
            self._put(rest)
        elif origin is Origin.MARK and self.stream.position == self.quiet:
            self.quiet = item.position

    def _put(self, item: Transaction) -> None:
        size = 64
        for change in item.changes:
            size += len(change.body)
        with self._lock:
            while self._bytes > self._budget and not self._stopped:
                self._lock.wait(1.0)
            was_empty = not self._items
            self._items.append((size, item))
            self._bytes += size
        if was_empty:
            self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closing
            self._loop.call_soon_threadsafe(self.bell.set)
