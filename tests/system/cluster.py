"""Two MariaDBs, ZooKeeper, a manager and five nodes as real processes, and channels that a test makes for itself."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.demo.compare import compare
from bench.processes import Installation, children_of, together
from bench.servers import Mariadb, Zookeeper, free_port
from otter.cli.api import Api, connect
from otter.model.config import ChannelStatus
from otter.model.stats import Check, ClusterStatus, PipelineView, SideReport, State

SELECTORS, LOADERS = (1, 2), (3, 4, 5)
#: Node 1 calls itself by this address, too; what a test puts there is a proxy that it can cut.
EXTERNAL_IP = "127.0.0.2"
SESSION = 4.0  # seconds of ZooKeeper's session timeout
LONG = 60.0  # seconds: on a busy machine nothing takes longer

_numbers = itertools.count(1)


def until(ready: Callable[[], Any], what: str, seconds: float = LONG) -> Any:
    """Asks ``ready()`` until it is true and returns what it said; ``what`` is for the one who reads the failure."""
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)
    return found


class Cluster(Installation):
    """``hangzhou`` (source) and ``us_west`` (target); nodes 1 and 2 may select, 3, 4 and 5 may load."""

    def __init__(self, folder: Path, hangzhou: Mariadb, us_west: Mariadb, zookeeper: Zookeeper) -> None:
        super().__init__(folder, {"otter.zookeeper.sessionTimeout": int(SESSION * 1000)})
        self.hangzhou, self.us_west, self.zookeeper = hangzhou, us_west, zookeeper
        self.ports = {nid: (free_port(), free_port()) for nid in (*SELECTORS, *LOADERS)}
        self.api: Api

    def open(self) -> None:
        self.init_manager()
        self.start_manager()
        self.api = connect(self.url, self.home)
        self.apply(
            zookeepers=[{"name": "zk", "servers": [self.zookeeper.address]}],
            nodes=[self.node(nid) for nid in self.ports],
            dataSources=[self.source("hangzhou", self.hangzhou.port), self.source("us-west", self.us_west.port)],
        )
        together([partial(self._node, nid) for nid in self.ports])

    def _node(self, nid: int) -> None:
        self.init_node(nid)
        self.start_node(nid)

    def node(self, nid: int) -> dict[str, Any]:
        port, download_port = self.ports[nid]
        external = {"externalIp": EXTERNAL_IP} if nid == 1 else {}
        return {
            "name": f"n{nid}", "nid": nid, "ip": "127.0.0.1", "port": port, "downloadPort": download_port,
            "zookeeper": "zk", **external,
        }  # fmt: skip

    @staticmethod
    def source(name: str, port: int) -> dict[str, Any]:
        return {"name": name, "host": "127.0.0.1", "port": port, "username": "otter", "password": "otter"}

    def apply(self, **document: Any) -> None:
        """What `otter apply` does, without the second that its start takes."""
        self.api.post("/api/v1/apply", dict[str, Any], document)

    def delete(self, path: str) -> None:
        """Removes an object through the API."""
        self.api._call("DELETE", f"/api/v1/{path}", None, 30)

    def status(self) -> ClusterStatus:
        return self.api.get("/api/v1/status", ClusterStatus)

    def all_alive(self) -> bool:
        """Our five nodes are registered and report."""
        ours = [node for node in self.status().nodes if node.nid in self.ports]
        return len(ours) == len(self.ports) and all(node.alive and node.report for node in ours)

    def aria2_of(self, nid: int) -> int:
        return next(iter(children_of(self.nodes[nid].pid, "aria2")), 0)

    def forkserver_of(self, nid: int) -> int:
        return children_of(self.nodes[nid].pid, "forkserver")[0]

    def kill_node(self, nid: int) -> None:
        """The supervisor alone is killed; its children have to notice."""
        self.nodes[nid].kill()

    def heal(self) -> None:
        """Whatever a test has killed or stopped runs again."""
        for nid, program in self.nodes.items():
            if program.process.poll() is not None:
                self.start_node(nid)
        if self.manager is None or self.manager.process.poll() is not None:
            self.start_manager()
        self.zookeeper_is_back()

    def zookeeper_is_back(self) -> None:
        until(lambda: self.status().zookeeper.get("zk") == "", "the manager is connected to ZooKeeper")


@dataclass
class Line:
    """One pipeline of a test's channel: ``copies`` maps each source table to its copy."""

    source: Mariadb
    target: Mariadb
    copies: dict[str, str]


@dataclass
class Channel:
    """A channel of one test, made through the public interface and gone afterwards."""

    cluster: Cluster
    name: str
    schema: str
    lines: list[Line] = field(default_factory=list)

    # -- commands -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.tell(ChannelStatus.START)
        self.running()

    def tell(self, status: ChannelStatus) -> None:
        """What `otter channel` does, without its wait."""
        self.cluster.api.post(f"/api/v1/channels/{self.name}/{status.value.lower()}", dict[str, Any])

    def wait(self, seconds: float = LONG) -> None:
        """What `otter wait` does; asked again when it says no, because nobody can answer while a seat changes hands."""
        path = f"/api/v1/channels/{self.name}/wait?timeout={seconds:.0f}"
        deadline = time.monotonic() + seconds
        while not (answer := self.cluster.api.post(path, dict[str, Any], timeout=seconds + 30))["reached"]:
            assert time.monotonic() < deadline, f"{answer['words']}\n{self.words()}"

    # -- pictures -----------------------------------------------------------------------------------------------

    def pipelines(self) -> tuple[PipelineView, ...]:
        return next(channel.pipelines for channel in self.cluster.status().channels if channel.name == self.name)

    @property
    def view(self) -> PipelineView:
        return self.pipelines()[0]

    def words(self) -> str:
        """All that is said about the channel, for the one who reads a failure."""
        lines = []
        for view in self.pipelines():
            lines.append(f"{view.name}: {view.state}: {view.words}; last error: {view.last_error}")
            lines += [f"  {s.side} n{s.nid} pid {s.pid} {s.state}: {s.words}; {s.last_error}" for s in view.sides]
        return "\n".join(lines)

    def side(self, kind: str, nid: int = 0) -> SideReport:
        """The select side that has the mainstem, or the load side that loads (or the one of node ``nid``)."""

        def look() -> SideReport | None:
            view = self.view
            wanted = nid or int((view.mainstem if kind == "select" else view.loader).removeprefix("n") or 0)
            return next((side for side in view.sides if side.side == kind and side.nid == wanted), None)

        found: SideReport = until(look, f"a {kind} side of {self.name} reports")
        return found

    def mainstem(self) -> int:
        """The nid of the node that selects."""
        nid: int = until(lambda: int(self.view.mainstem.removeprefix("n") or 0), f"{self.name} has a mainstem")
        return nid

    def said(self, part: str, seconds: float = LONG) -> PipelineView:
        """Waits until the state or the last error of the pipeline holds ``part``."""
        last: list[str] = []

        def look() -> PipelineView | None:
            view = self.view
            last[:] = [f"{view.state}: {view.words} | {view.last_error}"]
            return view if part in last[0] else None

        try:
            found: PipelineView = until(look, "", seconds)
        except AssertionError:
            raise AssertionError(f"{part!r} was not said within {seconds:.0f} s, but {last[0]}") from None
        return found

    def rests(self, state: State) -> None:
        """Waits until it is paused, its select sides too; or stopped, its sides gone."""

        def look() -> bool:
            view = self.view
            may_run = "load" if state is State.PAUSED else ""  # what was handed over is loaded to its end
            return view.state is state and all(side.state is state or side.side == may_run for side in view.sides)

        try:
            until(look, f"{self.name} is {state}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.words()}") from None

    def running(self) -> None:
        """Waits until every pipeline runs: what is committed from then on is copied."""
        good = (State.RUNNING, State.CATCHING_UP)
        try:
            until(lambda: all(view.state in good for view in self.pipelines()), f"{self.name} runs")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.words()}") from None

    # -- verdict ------------------------------------------------------------------------------------------------

    def check_equal(self) -> None:
        """Every copied table, row by row; and no row came twice or met another one than it expected."""
        for line in self.lines:
            with line.source.connect() as source, line.target.connect() as target:
                found = [compare(source, table, target, copy) for table, copy in line.copies.items()]
            different = [comparison.line() for comparison in found if not comparison.equal]
            assert not different, "\n".join([*different, self.words()])

    def check_clean(self) -> None:
        """Exactly once: the target never met a row it did not expect."""
        for line, view in zip(self.lines, self.pipelines(), strict=True):
            for table in ("otter_conflict", "otter_parked"):
                rows = line.target.run(f"SELECT * FROM retl.{table} WHERE pipeline_id = {view.id} LIMIT 5")
                assert not rows, f"{table}: {rows}"

    def arrived(self, seconds: float = LONG) -> None:
        self.wait(seconds)
        self.check_equal()
        self.check_clean()


@contextlib.contextmanager
def channel_of(cluster: Cluster, lines: Sequence[Line], schema: str, **changes: Any) -> Iterator[Channel]:
    """A channel with a pipeline for each line; ``changes`` go into the pipelines (``parameters``, ``loadNodes`` ...).
    Not started."""
    name = f"c{next(_numbers)}"
    names = {cluster.hangzhou.port: "hangzhou", cluster.us_west.port: "us-west"}
    pipelines = [
        {
            "name": f"{name}-{number}", "source": names[line.source.port], "target": names[line.target.port],
            "selectNodes": [f"n{nid}" for nid in SELECTORS[:1]], "loadNodes": [f"n{nid}" for nid in LOADERS[:1]],
            "pairs": [{"source": source, "target": target} for source, target in line.copies.items()], **changes,
        }
        for number, line in enumerate(lines)
    ]  # fmt: skip
    cluster.apply(channels=[{"name": name, "pipelines": pipelines}])
    channel = Channel(cluster, name, schema, list(lines))
    try:
        yield channel
    finally:
        cluster.heal()
        channel.tell(ChannelStatus.STOP)


@contextlib.contextmanager
def schema_on(*servers: Mariadb) -> Iterator[str]:
    """A schema of its own on each server, dropped afterwards."""
    name = f"s{os.getpid()}_{next(_numbers)}"
    for server in servers:
        server.run(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        for server in servers:
            server.run(f"DROP DATABASE {name}")


def doctor(cluster: Cluster, channel: str) -> list[Check]:
    return cluster.api.get(f"/api/v1/doctor?channel={channel}", list[Check], timeout=120)


def ended(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """The command ended with ``code`` and its sentence holds all ``parts``."""
    assert done.returncode == code, done.stdout + done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr
