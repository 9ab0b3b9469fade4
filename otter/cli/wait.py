"""``otter wait``: until everything committed on the source before now is on the target."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec
import typer

from otter.cli import screen
from otter.cli.api import connect
from otter.cli.failure import FAILED
from otter.cli.options import Home, ManagerUrl, ManagerUrlDefault, Timeout


class Reached(msgspec.Struct):
    reached: bool
    words: str = ""


def wait(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL")],
    timeout: Timeout = 60,
    home: Home = None,
    manager_url: ManagerUrl = ManagerUrlDefault,
) -> None:
    """Wait until the target has caught up. All that the source has committed by now must arrive; exit 1 if not in time.

    \b
      otter wait shop --timeout 300 && switch-over.sh
    """
    path = f"/api/v1/channels/{quote(channel, safe='')}/wait?timeout={timeout:g}"
    with screen.progress(f"waiting for {channel}"):
        answer = connect(manager_url, home).post(path, Reached, timeout=timeout + 30)
    if not answer.reached:
        typer.echo(f"{channel} has not caught up after {timeout:g} s: {answer.words}", err=True)
        raise typer.Exit(FAILED)
    typer.echo(f"{channel} has caught up" + (f": {answer.words}" if answer.words else ""))
