"""``otter channel start|pause|stop|list``."""

from __future__ import annotations

import time
from typing import Annotated
from urllib.parse import quote

import typer

from otter.cli import screen
from otter.cli.api import Api, connect
from otter.cli.failure import Answer
from otter.cli.options import Home, ManagerUrl, ManagerUrlDefault, Timeout
from otter.errors import Fatal, OtterError
from otter.model.stats import ChannelView, ClusterStatus, PipelineView, State

app = typer.Typer(help="Start, pause, stop and list channels.", rich_markup_mode=None, no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="CHANNEL")]

#: A pipeline in one of these has its start position pinned: what is committed from now on will be copied.
PINNED = frozenset({State.RUNNING, State.CATCHING_UP})
#: Seconds after which no report from before the command is left in the manager's picture.
SETTLED = 3.0


@app.command("start")
def start(
    name: Name,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until its pipelines run.")] = True,
    timeout: Timeout = 60,
    home: Home = None,
    manager_url: ManagerUrl = ManagerUrlDefault,
) -> None:
    """Start a channel, and wait until its pipelines run: what is committed after that will be copied."""
    api = connect(manager_url, home)
    view = _command(api, name, "start")
    if wait:
        with screen.progress(f"starting {name}") as say:
            view = _until_pinned(api, name, timeout, say)
    typer.echo(f"channel {name} is started" + ("" if wait else "; its pipelines are starting"))
    for pipeline in view.pipelines:
        typer.echo(f"  {pipeline.name}: {screen.state(pipeline.state, pipeline.words)}")


def _until_pinned(api: Api, name: str, timeout: float, say: screen.Say) -> ChannelView:
    """Polls until all pipelines are pinned. The manager's picture may be from just before the command, and what nodes
    report is up to a second old: a picture counts when it is newer, a failure when it outlives ``SETTLED``."""
    begin, pause = time.monotonic(), 0.1
    first = api.get("/api/v1/status", ClusterStatus).at
    while True:
        status = api.get("/api/v1/status", ClusterStatus)
        view = find(status, name)
        pending = [pipeline for pipeline in view.pipelines if pipeline.state not in PINNED]
        where = _where(pending[0]) if pending else "the manager has no newer picture"
        failed = [pipeline for pipeline in pending if pipeline.state is State.FAILED]
        if failed and status.at > first + SETTLED:
            hint = f"`otter doctor --channel {name}` looks for the cause"
            raise Fatal(f"{name} did not start: {_where(failed[0])}", hint)
        if not pending and status.at > first:
            return view
        if time.monotonic() > begin + timeout:
            hint = f"it goes on trying; `otter doctor --channel {name}` looks for the cause"
            raise OtterError(f"{name} is started, but does not run yet: {where}", hint)
        say(f"starting {name}: {where}")
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)


def _where(pipeline: PipelineView) -> str:
    words = pipeline.last_error or pipeline.words or "no node has taken it yet"
    return f"{pipeline.name} is {screen.state(pipeline.state, words)}"


@app.command("pause")
def pause(name: Name, home: Home = None, manager_url: ManagerUrl = ManagerUrlDefault) -> None:
    """Pause a channel: nodes keep it ready, nothing moves."""
    _command(connect(manager_url, home), name, "pause")
    typer.echo(f"channel {name} is paused")


@app.command("stop")
def stop(name: Name, home: Home = None, manager_url: ManagerUrl = ManagerUrlDefault) -> None:
    """Stop a channel: nodes let go of it. It goes on from the same position when started again."""
    _command(connect(manager_url, home), name, "stop")
    typer.echo(f"channel {name} is stopped")


@app.command("list")
def list_channels(home: Home = None, manager_url: ManagerUrl = ManagerUrlDefault) -> None:
    """List channels with their status."""
    view = connect(manager_url, home).get("/api/v1/status", ClusterStatus)
    rows = [
        (channel.name, channel.status.value, ", ".join(f"{p.name}: {p.state}" for p in channel.pipelines))
        for channel in view.channels
    ]
    screen.table(("channel", "status", "pipelines"), rows)


def _command(api: Api, name: str, verb: str) -> ChannelView:
    return api.post(f"/api/v1/channels/{quote(name, safe='')}/{verb}", ChannelView)


def find(status: ClusterStatus, name: str) -> ChannelView:
    """The channel ``name``; raises :class:`Answer` when there is none."""
    for channel in status.channels:
        if channel.name == name:
            return channel
    raise Answer(404, f"there is no channel {name!r}", "`otter channel list` shows all")
