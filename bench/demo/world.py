"""The demo's two datacenters: servers, manager and nodes as children in ``.demo/``, and the command line to them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bench.demo import shop
from bench.processes import Ended, Installation, together
from bench.servers import Mariadb, Zookeeper, free_port

ROOT = Path(__file__).resolve().parents[2]


class World(Installation):
    """``with World() as world:`` everything runs and both channels are started; at the end nothing is left."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(ROOT / ".demo")
        self._say = say
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> World:
        try:
            self._claim()
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops everything, last started first, and removes the folder. Signals wait until it is done."""
        before = {sig: signal.signal(sig, signal.SIG_IGN) for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            self._stack.close()
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _claim(self) -> None:
        self._stack.callback(os.close, _lock(Path(__file__).parent))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        end_leftovers(self.folder)  # of a demo that was killed
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def _start(self) -> None:
        self._say("starting two MariaDB servers, ZooKeeper and the manager ...")
        self.hangzhou = Mariadb(self.folder / "hangzhou", server_id=1)
        self.us_west = Mariadb(self.folder / "us-west", server_id=2)
        self.zookeeper = Zookeeper(self.folder / "zookeeper")
        jobs: list[Callable[[], None]] = [self.zookeeper.start, self.hangzhou.start, self.us_west.start, self._manager]
        for server in (self.zookeeper, self.hangzhou, self.us_west):
            self._stack.callback(server.stop)
        self._stack.callback(self.stop)
        together(jobs)
        self.hangzhou.run(*shop.shop(), *shop.report())
        self.us_west.run(*shop.shop())
        self._say("making and starting three nodes: node1 in hangzhou, node2 and node3 in us-west ...")
        self.otter("apply", "-f", "-", feed=self._document())
        together([partial(self._node, number) for number in (1, 2, 3)])
        self._say("starting the channels shop and shop-report ...")
        together([partial(self.otter, "channel", "start", channel) for channel in ("shop", "shop-report")])

    def _manager(self) -> None:
        self.init_manager()
        self.start_manager()

    def _node(self, number: int) -> None:
        self.init_node(number)
        self.start_node(number)

    def _document(self) -> str:
        node = {"ip": "127.0.0.1", "zookeeper": "demo"}
        source = {"host": "127.0.0.1", "username": "otter", "password": "otter"}
        pairs: list[dict[str, Any]] = [{"source": f"shop.{table}"} for table in shop.TABLES]
        document = {
            "zookeepers": [{"name": "demo", "servers": [self.zookeeper.address]}],
            "nodes": [
                {"name": f"node{n}", "nid": n, **node, "port": free_port(), "downloadPort": free_port()}
                for n in (1, 2, 3)
            ],
            "dataSources": [
                {"name": "hangzhou", **source, "port": self.hangzhou.port},
                {"name": "us-west", **source, "port": self.us_west.port},
            ],
            "channels": [
                {"name": "shop", "description": "the shop, Hangzhou to US West", "pipelines": [
                    {"name": "shop-hangzhou-us", "source": "hangzhou", "target": "us-west", "selectNodes": ["node1"],
                     "loadNodes": ["node2", "node3"], "pairs": pairs}]},
                {"name": "shop-report", "description": "orders for the report, within Hangzhou", "pipelines": [
                    {"name": "orders-report", "source": "hangzhou", "target": "hangzhou", "selectNodes": ["node1"],
                     "loadNodes": ["node1"], "pairs": [{"source": "shop.orders", "target": "shop_report.orders"}]}]},
            ],
        }  # fmt: skip
        return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def end_leftovers(folder: Path) -> list[int]:
    """Kills what a killed demo left running: programs of ours that name a file in its folder; returns their ids."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            ours = entry.name.isdigit() and entry.stat().st_uid == os.getuid()
            if ours and f"{folder}/".encode() in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
                found.append(int(entry.name))
    return found


def _lock(folder: Path) -> int:
    """One demo in a checkout; the lock is on a folder that stays, so that its end leaves nothing behind."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Ended("another bin/demo runs in this checkout") from None
    return lock


def seconds_since(begin: float) -> str:
    return f"{time.monotonic() - begin:.1f} s"
