"""``otter node``: a worker, and the folder it lives in."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Annotated

import typer

from otter import settings
from otter.cli import logs
from otter.cli.options import Home, checkout, home_folder
from otter.cli.settings import properties
from otter.errors import BadConfig

FOLDERS = ("conf", "logs", "htdocs", "download", "extend", "run", "bin")

app = typer.Typer(help="Run a node (without a sub-command), or make its folder.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def default(context: typer.Context, home: Home = None) -> None:
    if context.invoked_subcommand is None:
        run(home)


@app.command("run")
def run(home: Home = None) -> None:
    """Work until SIGTERM (finishes the batches on their way); a second SIGTERM ends at once."""
    loaded = settings.load("node", home_folder(home))
    nid = read_nid(loaded.conf / "nid")
    logs.setup("node", loaded.home, loaded["otter.log.level"])
    from otter.node import app as node  # noqa: PLC0415 - start time of the other commands

    raise typer.Exit(asyncio.run(node.run(loaded, nid)))


def read_nid(file: Path) -> int:
    """The node's number (序号); raises BadConfig that says where to get one."""
    mend = f"write the number (序号) that the manager gave this node into {file}"
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise BadConfig("nid", "", f"the file cannot be read; {mend}") from None
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise BadConfig("nid", text[:40], f"must be a whole number from 1; {mend}")
    return int(text)


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made if it does not exist.")],
    nid: Annotated[int, typer.Option(min=1, help="The node's number (序号) in the manager.")],
    manager: Annotated[str, typer.Option(metavar="HOST:PORT,...", help="Managers' node port.")] = "127.0.0.1:1099",
    cluster_key_file: Annotated[
        Path | None, typer.Option(help="Copied to conf/cluster.key [default: that of this checkout]")
    ] = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other setting; may be repeated.")
    ] = None,
) -> None:
    """Make the folder of one node; several live on one machine, each with its own nid and ports.

    \b
    Ports are the node's in the manager's configuration, not here.
      otter node init /srv/node1 --nid 1 --manager 10.0.0.1:1099 --cluster-key-file cluster.key
      /srv/node1/bin/startup.sh
    """
    key = cluster_key_file or checkout() / "conf" / "cluster.key"
    if not key.is_file():
        raise BadConfig("--cluster-key-file", str(key), "no such file; copy conf/cluster.key from the manager's home")
    given = {"otter.manager.address": manager, **dict(_pair(value) for value in values or [])}
    if (folder / "conf" / "nid").exists() and read_nid(folder / "conf" / "nid") != nid:
        raise BadConfig("--nid", nid, f"{folder} is the home of another node; choose another folder")
    _make(folder.absolute(), nid, key, given)
    settings.load("node", folder, {})
    typer.echo(f"node {nid} lives in {folder}: start it with {folder}/bin/startup.sh or `otter node --home {folder}`")


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise BadConfig("--set", text, "must be NAME=VALUE, for example otter.bind=127.0.0.1")
    return name.strip(), value.strip()


def _make(folder: Path, nid: int, key: Path, given: dict[str, str]) -> None:
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    target = folder / "conf" / "cluster.key"
    if not target.exists() or not target.samefile(key):
        target.touch(mode=0o600)
        target.chmod(0o600)
        shutil.copyfile(key, target)
    (folder / "conf" / "nid").write_text(f"{nid}\n")
    (folder / "conf" / "otter.properties").write_text(properties("node", given), "utf-8")
    for script in ("startup.sh", "stop.sh"):
        link, original = folder / "bin" / script, checkout() / "bin" / script
        if original.exists() and not link.is_symlink():
            link.symlink_to(original)
