"""A small Otter for benchmarks: ZooKeeper, a manager and nodes as processes, driven through the public interface."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import yaml

from bench.processes import Installation, session_of
from bench.servers import Zookeeper, free_port, wait_until
from otter.cli.api import Api, connect
from otter.model.stats import ChannelView, ClusterStatus, PipelineView


class Cluster:
    """``with Cluster(folder, nodes) as cluster``: everything runs; node 1 selects, the last one loads."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.nodes = nodes
        self._zookeeper = Zookeeper(folder / "zookeeper")
        self._installation = Installation(folder)
        self._stack = contextlib.ExitStack()
        self._api: Api

    def __enter__(self) -> Cluster:
        installation = self._installation
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._zookeeper)
            installation.init_manager()
            stack.callback(installation.stop)
            installation.start_manager()
            self._api = connect(installation.url, installation.home)
            self.apply(self._objects())
            for nid in range(1, self.nodes + 1):
                installation.init_node(nid)
                installation.start_node(nid)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def apply(self, document: dict[str, Any]) -> None:
        """``otter apply`` of ``document``."""
        self._installation.otter("apply", "-f", "-", feed=str(yaml.safe_dump(document)))

    def start(self, channel: str) -> None:
        """Says so and returns at once."""
        self._api.post(f"/api/v1/channels/{channel}/start", ChannelView)

    def stop(self, channel: str) -> None:
        """Stops it and waits until its sides are gone."""
        self._api.post(f"/api/v1/channels/{channel}/stop", ChannelView)
        wait_until(lambda: not self._has_sides(), 60, f"the end of channel {channel}")

    def pipeline(self, channel: str) -> PipelineView:
        channels = self._status().channels
        return next(view for view in channels if view.name == channel).pipelines[0]

    def processes(self, channel: str) -> dict[int, str]:
        """Every process of ours by what it does; waits for a report of both sides."""
        wait_until(lambda: len(self.pipeline(channel).sides) == 2, 10, "a report of both sides")
        found: dict[int, str] = {}
        assert self._installation.manager and self._zookeeper.process
        programs = {"manager": self._installation.manager} | {
            f"node{n}": p for n, p in self._installation.nodes.items()
        }
        for name, program in programs.items():
            found |= {pid: f"{name}{_part(pid)}" for pid in session_of(program.pid)}
        found |= {side.pid: f"{side.side} side" for side in self.pipeline(channel).sides}
        return {**found, self._zookeeper.process.pid: "zookeeper"}

    def _status(self) -> ClusterStatus:
        return self._api.get("/api/v1/status", ClusterStatus)

    def _has_sides(self) -> bool:
        return any(node.report and node.report.sides for node in self._status().nodes)

    def _objects(self) -> dict[str, Any]:
        node = {"ip": "127.0.0.1", "zookeeper": "bench"}
        return {
            "zookeepers": [{"name": "bench", "servers": [self._zookeeper.address]}],
            "nodes": [
                {"name": f"node{n}", "nid": n, **node, "port": free_port(), "downloadPort": free_port()}
                for n in range(1, self.nodes + 1)
            ],
        }  # fmt: skip


def _part(pid: int) -> str:
    """What a node's helper process is, from its command line."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        return next((f" {part}" for part in ("aria2c", "forkserver", "resource_tracker") if part.encode() in words), "")
    return ""
