"""``otter apply``: creates or changes what differs between a YAML file and the manager."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from otter.cli.api import connect
from otter.cli.options import Home, ManagerUrl, ManagerUrlDefault
from otter.errors import BadConfig


class Action(msgspec.Struct):
    action: str  # create | change | keep
    kind: str
    name: str
    fields: list[str] = []


class Applied(msgspec.Struct):
    actions: list[Action]


def apply(
    file: Annotated[str, typer.Option("--file", "-f", help="YAML file, or - for standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    home: Home = None,
    manager_url: ManagerUrl = ManagerUrlDefault,
) -> None:
    """Create or change what differs. Objects that the file does not name stay as they are.

    \b
      otter apply -f channel.yaml --dry-run
      otter export | sed s/10.0.0.1/10.0.0.2/ | otter apply -f -
    """
    from otter.cli import document  # noqa: PLC0415 - YAML only where YAML is

    wanted = document.read(_text(file), "standard input" if file == "-" else file)
    path = f"/api/v1/apply?dryRun={'true' if dry_run else 'false'}"
    done = connect(manager_url, home).post(path, Applied, wanted)
    for action in done.actions:
        if action.action != "keep":
            typer.echo(_line(action, dry_run))
    kept = sum(action.action == "keep" for action in done.actions)
    changed = len(done.actions) - kept
    typer.echo(f"{changed} {'to change' if dry_run else 'changed'}, {kept} already as in the file")


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig("--file", file, f"cannot be read: {getattr(error, 'strerror', error)}") from None


def _line(action: Action, dry_run: bool) -> str:
    verb = f"would {action.action}" if dry_run else f"{action.action.removesuffix('e')}ed"
    fields = f": {', '.join(action.fields)}" if action.fields and action.action == "change" else ""
    return f"{verb} {action.kind} {action.name}{fields}"
