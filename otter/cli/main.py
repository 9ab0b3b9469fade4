"""``otter``: puts the commands together and turns every error into a sentence, a hint and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import otter
from otter.cli import apply, channel, doctor, export, failure, inspect, manager, node, settings, status, wait

EPILOG = """\b
Examples:
  otter manager init                     make the keys and the admin account, then `otter manager`
  otter node init /srv/n1 --nid 1        make the folder of a node
  otter apply -f channel.yaml --dry-run  show what a file would change
  otter channel start shop               start it and wait until it runs
  otter wait shop --timeout 60           until all that is committed now has arrived

\b
Exit codes: 0 done · 1 failed or not reached · 2 wrong usage · 3 a setting or file cannot be used ·
4 manager, ZooKeeper or database cannot be reached · 5 refused in the present state
"""

app = typer.Typer(
    name="otter",
    help="Copies row changes of MySQL/MariaDB between datacenters, continuously, exactly once.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(manager.app, name="manager")
app.add_typer(node.app, name="node")
app.add_typer(channel.app, name="channel")
app.command("apply")(apply.apply)
app.command("export")(export.export)
app.command("status")(status.status)
app.command("wait")(wait.wait)
app.command("inspect")(inspect.inspect)
app.command("doctor")(doctor.doctor)
app.command("settings")(settings.settings)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"otter {otter.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the ``otter`` script."""
    try:
        app(prog_name="otter")
    except Exception as error:  # noqa: BLE001 - the last door: an operator gets a sentence, not a traceback
        sys.exit(failure.report(error))


if __name__ == "__main__":
    main()
