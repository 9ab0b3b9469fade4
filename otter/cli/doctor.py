"""``otter doctor``: what the manager finds (sources, targets, nodes), and what is wrong on this machine."""

from __future__ import annotations

import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from otter import settings
from otter.cli import screen
from otter.cli.api import Api, connect
from otter.cli.failure import FAILED
from otter.cli.options import Home, ManagerUrl, ManagerUrlDefault, home_folder
from otter.errors import OtterError
from otter.model.config import Node
from otter.model.stats import Check, ClusterStatus

HERE = "this machine"
CONGESTION = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")


def doctor(
    channel: Annotated[str, typer.Option("--channel", help="Only what this channel needs.")] = "",
    home: Home = None,
    manager_url: ManagerUrl = ManagerUrlDefault,
) -> None:
    """Look for what is wrong. Sources, targets, grants, keys, clocks, nodes, this machine; exit 1 if something is."""
    folder = home_folder(home)
    with screen.progress("looking at databases and nodes"):
        checks = [*_remote(manager_url, home, channel), *local(folder)]
    rows = [("ok" if c.ok else "WRONG", c.subject, c.name, c.words + (f"; {c.hint}" if c.hint and not c.ok else ""))
            for c in checks]  # fmt: skip
    screen.table(("", "what", "check", "found"), rows)
    wrong = sum(not check.ok for check in checks)
    typer.echo(f"{len(checks)} checks, {wrong} wrong" if wrong else f"{len(checks)} checks, all well")
    if wrong:
        raise typer.Exit(FAILED)


def _remote(url: str, home: Path | None, channel: str) -> Iterator[Check]:
    """What the manager finds; that it cannot be asked is a finding, too."""
    try:
        api = connect(url, home)
        query = f"?channel={quote(channel)}" if channel else ""
        yield from api.get(f"/api/v1/doctor{query}", list[Check], timeout=120)
        yield from _ports(api, home_folder(home))
    except OtterError as error:
        yield Check(subject="manager", name="answers", ok=False, words=error.message, hint=error.hint)


def _ports(api: Api, folder: Path) -> Iterator[Check]:
    """The ports of the node in this home: taken by itself, or free."""
    try:
        nid = int((folder / "conf" / "nid").read_text())
    except (OSError, ValueError):
        return
    alive = {node.nid for node in api.get("/api/v1/status", ClusterStatus).nodes if node.alive}
    for node in api.get("/api/v1/nodes", list[Node]):
        for port in (node.port, node.download_port) if node.nid == nid else ():
            free = _is_free(port)
            words = "taken by the running node" if nid in alive and not free else "free" if free else "taken"
            hint = "another program listens there; end it, or give the node another port in the manager"
            yield Check(subject=HERE, name=f"port {port}", ok=free or nid in alive, words=words, hint=hint)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def local(folder: Path) -> Iterator[Check]:
    """This machine and the home ``folder``: settings, aria2c, key file, disk, TCP."""
    try:
        node = settings.load("node", folder)
    except OtterError as error:
        yield Check(subject=HERE, name="settings", ok=False, words=error.message, hint=error.hint)
        return
    yield Check(subject=HERE, name="settings", ok=True, words=f"{folder}/conf/otter.properties and OTTER_* can be used")
    yield _aria2(str(node["otter.aria2.path"]))
    yield _key(node.path("otter.cluster.keyFile"))
    yield _disk(node.path("otter.htdocs.dir"), int(node["otter.htdocs.limit"]) << 20)
    yield _congestion()


def _aria2(program: str) -> Check:
    path = shutil.which(program)
    if not path:
        return Check(subject=HERE, name="aria2c", ok=False, words=f"{program} is not installed",
                     hint="apt-get install aria2, or set otter.aria2.path")  # fmt: skip
    try:
        first = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Check(
            subject=HERE, name="aria2c", ok=False, words=f"{path} does not run: {error}", hint="install it again"
        )
    return Check(subject=HERE, name="aria2c", ok=True, words=f"{first.splitlines()[0]} at {path}")


def _key(file: Path) -> Check:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError as error:
        return Check(subject=HERE, name="cluster key", ok=False, words=f"{file}: {error.strerror}",
                     hint="copy conf/cluster.key from the manager's home")  # fmt: skip
    return Check(subject=HERE, name="cluster key", ok=not mode & 0o077, words=f"{file} has mode {mode:o}",
                 hint=f"others can read it: chmod 600 {file}")  # fmt: skip


def _disk(folder: Path, limit: int) -> Check:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    return Check(subject=HERE, name="disk", ok=free > limit, words=f"{free >> 20} MiB free for {folder}",
                 hint=f"htdocs/ may grow to {limit >> 20} MiB: make room, or lower otter.htdocs.limit")  # fmt: skip


def _congestion() -> Check:
    """BBR is advice for lossy links, never an error."""
    try:
        known = CONGESTION.read_text().split()
    except OSError:
        known = []
    words = "available" if "bbr" in known else "not available here; links that lose packets are slower without it"
    return Check(subject=HERE, name="TCP BBR", ok=True, words=words)
