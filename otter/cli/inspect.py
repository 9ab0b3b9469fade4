"""``otter inspect``: what a batch file holds."""

from __future__ import annotations

import json as text
from pathlib import Path
from typing import Annotated, Any

import typer

from otter.cli import screen
from otter.errors import BadConfig


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of htdocs/ or download/.")],
    json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows to show.")] = 100,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Rows to pass over first.")] = 0,
) -> None:
    """Show what a batch file holds. Header, tables and rows; needs no manager.

    \b
      otter inspect htdocs/1-17-4-230.batch --rows 5
    """
    from otter.node.inspect import describe  # noqa: PLC0415 - decoders only where rows are

    if not file.is_file():
        raise BadConfig("FILE", str(file), "there is no such file")
    found = describe(file, offset, rows)
    if json:
        typer.echo(text.dumps(found, ensure_ascii=False, indent=2))
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    for name, value in found["header"].items():
        typer.echo(f"{name:>14}  {value}")
    typer.echo()
    head = ("table", "columns", "inserts", "updates", "deletes")
    tables = [
        (t["table"], ", ".join(c["name"] + ("*" if c["key"] else "") for c in t["columns"]),
         str(t["inserts"]), str(t["updates"]), str(t["deletes"]))
        for t in found["tables"]
    ]  # fmt: skip
    screen.table(head, tables)
    typer.echo()
    for row in found["rows"]:
        typer.echo(f"{row['gtid'] or row['transaction']} {row['kind']} {row['table']} {_images(row)}")
    left = found["header"]["rows"] - found["offset"] - len(found["rows"])
    if left > 0:
        typer.echo(f"... {left} more rows; see --offset and --rows")


def _images(row: dict[str, Any]) -> str:
    before, after = (text.dumps(row[image], ensure_ascii=False) for image in ("before", "after"))
    return f"{before} -> {after}" if row["before"] and row["after"] else after if row["after"] else before
