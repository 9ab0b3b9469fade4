"""``otter status``: where every channel, pipeline and node is."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer

from otter.cli import screen
from otter.cli.api import Api, connect
from otter.cli.options import Home, ManagerUrl, ManagerUrlDefault
from otter.errors import OtterError
from otter.model.stats import ClusterStatus


def status(
    json: Annotated[bool, typer.Option("--json", help="The ClusterStatus object of the API.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again every second, until Ctrl-C.")] = False,
    home: Home = None,
    manager_url: ManagerUrl = ManagerUrlDefault,
) -> None:
    """Show where everything is. Pipelines (state, mainstem, every stage, delay, rows/s, last error) and nodes."""
    api = connect(manager_url, home)
    if watch:
        _watch(api, json)
    else:
        _print(api.get("/api/v1/status", ClusterStatus), json)


def _print(view: ClusterStatus, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(view)).decode())
        return
    from otter.cli import view as render  # noqa: PLC0415 - rich only where it is drawn

    screen.console().print(render.cluster(view))


def _watch(api: Api, json: bool) -> None:
    """A manager that is away for a moment does not end the watch."""
    from rich.live import Live  # noqa: PLC0415

    from otter.cli import view as render  # noqa: PLC0415

    if json:
        while True:
            typer.echo(msgspec.json.encode(api.get("/api/v1/status", ClusterStatus)).decode())
            time.sleep(1)
    with Live(console=screen.console(), auto_refresh=False, screen=False) as live:
        while True:
            try:
                live.update(render.cluster(api.get("/api/v1/status", ClusterStatus)), refresh=True)
            except OtterError as error:
                live.update(str(error), refresh=True)
            time.sleep(1)
