"""Where a pipeline that has never run begins: now, at a GTID position, at a file and offset, or at a time."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator

from otter.binlog import position as positions
from otter.binlog.stream import Stream
from otter.dialect import source
from otter.dialect.connection import Connection
from otter.errors import Fatal
from otter.model.batch import Position, Statement, Transaction
from otter.model.config import PipelineTask

#: Seconds to wait for the first transaction of a binlog file that may hold none.
LOOK = 3.0


def first_position(task: PipelineTask, server_id: int, head: Position) -> Position:
    """The position for ``task.start``; ``head`` is where the source is now. Blocking. Raises :class:`Fatal` for a
    start that cannot be."""
    start = task.start
    match start.kind:
        case "now":
            return head
        case "gtid":
            return Position(gtid=start.gtid)
        case "file":
            return Position(file=start.file, offset=start.offset)
        case _:
            return _position_at(task, server_id, _parse(start.time), head)


def _parse(text: str) -> float:
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise Fatal(f"start time {text!r} is not a time", "write it like 2026-11-23T08:00:00+08:00") from None
    if at.tzinfo is None:
        raise Fatal(f"start time {text!r} has no time zone", "write it like 2026-11-23T08:00:00+08:00")
    return at.timestamp()


def _position_at(task: PipelineTask, server_id: int, at: float, head: Position) -> Position:
    """The place before the first transaction committed at ``at`` or later. Binlog times are whole seconds, and the
    stream says the end of that second of an old one: what is in doubt is copied."""
    with Connection(task.source) as connection:
        files = [name for name, _ in source.binlogs(connection)]
    for file in reversed(files):
        first = _first_commit(task, server_id, file)
        if first is not None and first < at:
            return _read_up_to(task, server_id, Position(file=file, offset=4), at, head)
    if files and not files[0].endswith(".000001"):
        raise Fatal(
            f"the source's oldest binlog {files[0]} begins after the start time",
            "choose a later time, or `now`, and load what exists another way",
        )
    return _read_up_to(task, server_id, Position(file=files[0], offset=4), at, head) if files else head


def _first_commit(task: PipelineTask, server_id: int, file: str) -> float | None:
    """Commit time of the first transaction of a binlog file; None when it holds none."""
    stream = _stream(task, server_id, Position(file=file, offset=4))
    for item in _while(stream, lambda: stream.position.file in {"", file}, LOOK):
        return item.committed
    return None


def _read_up_to(task: PipelineTask, server_id: int, start: Position, at: float, head: Position) -> Position:
    stream = _stream(task, server_id, start)
    before = start
    for item in _while(stream, lambda: not positions.contains(stream.position, head), None):
        if item.committed > at:
            return before
        before = item.position
    return head


def _stream(task: PipelineTask, server_id: int, start: Position) -> Stream:
    return Stream(task.source, server_id, start, lambda *_: True)


def _while(stream: Stream, going: Callable[[], bool], at_most: float | None) -> Iterator[Transaction | Statement]:
    """The stream's items as long as ``going()``; a stream that waits for the source is stopped from outside."""
    over = threading.Event()

    def watch() -> None:
        waited = 0.0
        while going() and (at_most is None or waited < at_most) and not over.wait(0.1):
            waited += 0.1
        stream.stop()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield from stream
    finally:
        over.set()
        watcher.join()
