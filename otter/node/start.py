"""Where a pipeline that has never run begins."""

from __future__ import annotations

import datetime

from otter.dialect import source
from otter.dialect.connection import Connection
from otter.errors import Fatal
from otter.model.batch import Position
from otter.model.config import PipelineTask


def first_position(task: PipelineTask, head: Position) -> Position:
    """The position for ``task.start``; ``head`` is where the source is now. Raises :class:`Fatal` for a start that
    cannot be."""
    start = task.start
    match start.kind:
        case "now":
            return head
        case "gtid":
            return Position(gtid=start.gtid)
        case "file":
            return Position(file=start.file, offset=start.offset)
        case _:
            return _at_time(task, start.time)


def _at_time(task: PipelineTask, text: str) -> Position:
    """The end of the newest binlog that begins before ``text``: too early is safe for nobody, so rows between the
    file's beginning and the time are left out by reading through them."""
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise Fatal(
            f"start time {text!r} is not a time", "write it like 2026-11-23T08:00:00+08:00, with its time zone"
        ) from None
    if at.tzinfo is None:
        raise Fatal(f"start time {text!r} has no time zone", "write it like 2026-11-23T08:00:00+08:00")
    with Connection(task.source) as connection:
        return source.position_at(connection, at.timestamp())
