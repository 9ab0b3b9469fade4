"""``otter manager``: the web console, REST API and configuration store."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from otter import settings
from otter.cli import logs
from otter.cli.options import Home, home_folder
from otter.errors import BadConfig

app = typer.Typer(help="Run the manager (without a sub-command), or prepare its home.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def default(context: typer.Context, home: Home = None) -> None:
    if context.invoked_subcommand is None:
        run(home)


@app.command("run")
def run(home: Home = None) -> None:
    """Serve the console and API until SIGTERM."""
    loaded = settings.load("manager", home_folder(home))
    logs.setup("manager", loaded.home, loaded["otter.log.level"])
    from otter.manager import app as manager  # noqa: PLC0415 - start time of the other commands

    raise typer.Exit(asyncio.run(manager.run(loaded)))


@app.command("init")
def init(
    home: Home = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--admin-password-file", help="Its first line becomes admin's password (or OTTER_ADMIN_PASSWORD)."
        ),
    ] = None,
) -> None:
    """Make what a manager needs: store, cluster key, admin account and its token.

    \b
    Safe to repeat: what exists is kept. Without a password it makes one up, and the console asks for another.
      otter manager init --home /srv/manager --admin-password-file secret.txt
    """
    folder = home_folder(home)
    (folder / "conf").mkdir(exist_ok=True)
    loaded = settings.load("manager", folder)
    password = _password(password_file)
    from otter.manager import app as manager  # noqa: PLC0415 - start time of the other commands

    made = manager.init(loaded, password)
    typer.echo(f"manager in {folder} is ready: conf/admin.token is for commands, and nodes need a copy of")
    typer.echo(f"{loaded.path('otter.cluster.keyFile')}. Start it with `otter manager` or bin/startup.sh manager.")
    if made:
        typer.echo(f"The console's first user is admin, password {made} (it asks for another at the first login).")


def _password(file: Path | None) -> str:
    if file is None:
        return os.environ.get("OTTER_ADMIN_PASSWORD", "")
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError as error:
        raise BadConfig("--admin-password-file", str(file), f"cannot be read: {error.strerror}") from None
    if not lines or not lines[0]:
        raise BadConfig("--admin-password-file", str(file), "its first line is empty; write the password there")
    return lines[0]
