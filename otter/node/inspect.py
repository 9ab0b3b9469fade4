"""What a batch file holds, as JSON-able values: for ``otter inspect``, the node's file call and the console."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otter.binlog import decoder
from otter.binlog.position import describe as words
from otter.model.batch import Batch, Change, Kind, Table
from otter.pipe import file

#: A longer text, or more bytes than half of this, is cut off: nobody reads a picture in hex.
LONGEST = 1000


def describe(path: Path, offset: int = 0, limit: int = 100) -> dict[str, Any]:
    """The file's header, tables, and ``limit`` rows from ``offset``; raises Damaged or Retryable.

    ``file`` is the name; ``header`` a flat object; ``tables`` a list of ``{"table", "columns": [{"name", "type",
    "nullable", "key"}], "inserts", "updates", "deletes"}``; ``rows`` a list of ``{"transaction", "gtid", "committed",
    "table", "kind", "before": {column: value}, "after": {...}}``, an image that does not exist being empty.
    Values are those of :func:`otter.binlog.decoder.values`; long ones are cut:
    ``{"text" or "hex": beginning, "length": characters or bytes, "cut": true}``.
    """
    batch = file.read(path)
    return {
        "file": path.name,
        "header": _header(path),
        "tables": _tables(batch),
        "offset": offset,
        "rows": list(_rows(batch, offset, limit)),
    }


def _header(path: Path) -> dict[str, Any]:
    head = file.read_header(path)
    return {
        "channelId": head.channel_id,
        "pipelineId": head.pipeline_id,
        "epoch": head.epoch,
        "number": head.number,
        "part": head.part.name,
        "start": words(head.start),
        "end": words(head.end),
        "committed": head.committed,
        "transactions": head.transactions,
        "rows": head.rows,
        "size": path.stat().st_size,
        "packed": head.packed,
        "raw": head.raw,
        "made": head.made,
        "writer": head.writer,
    }


def _tables(batch: Batch) -> list[dict[str, Any]]:
    counts: Counter[tuple[int, Kind]] = Counter()
    for transaction in batch.transactions:
        for change in transaction.changes:
            counts[change.table, change.kind] += change.rows
    return [
        {
            "table": table.address,
            "columns": _columns(table),
            "inserts": counts[index, Kind.INSERT],
            "updates": counts[index, Kind.UPDATE],
            "deletes": counts[index, Kind.DELETE],
        }
        for index, table in enumerate(batch.tables)
    ]


def _columns(table: Table) -> list[dict[str, Any]]:
    return [
        {"name": column.name, "type": column.type, "nullable": column.nullable, "key": ordinal in table.key}
        for ordinal, column in enumerate(table.columns)
    ]


def _rows(batch: Batch, offset: int, limit: int) -> Iterator[dict[str, Any]]:
    """Decodes only the changes that have rows within the window."""
    first = 0
    for number, transaction in enumerate(batch.transactions):
        for change in transaction.changes:
            begin, end = max(offset - first, 0), min(offset + limit - first, change.rows)
            if begin < end:
                where = {"transaction": number, "gtid": transaction.gtid, "committed": transaction.committed}
                for row in _change(batch.tables[change.table], change, slice(begin, end)):
                    yield {**where, **row}
            first += change.rows
            if first >= offset + limit:
                return


def _change(table: Table, change: Change, window: slice) -> Iterator[dict[str, Any]]:
    images = decoder.values(table, change.kind, change.before, change.after)(change.body)
    for row in images[window]:
        before, after = row if change.kind is Kind.UPDATE else (row, ()) if change.kind is Kind.DELETE else ((), row)
        yield {
            "table": table.address,
            "kind": change.kind.name,
            "before": _image(table, before),
            "after": _image(table, after),
        }


def _image(table: Table, values: Any) -> dict[str, Any]:
    return {column.name: _short(value) for column, value in zip(table.columns, values, strict=False)}


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST:
        return {"text": value[:LONGEST], "length": len(value), "cut": True}
    if isinstance(value, dict) and len(value.get("hex", "")) > LONGEST:
        return {"hex": value["hex"][:LONGEST], "length": len(value["hex"]) // 2, "cut": True}
    return value
