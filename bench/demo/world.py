"""The demo's two datacenters: servers, manager and nodes as children in ``.demo/``, and the command line to them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bench.demo import shop
from bench.servers import Mariadb, Zookeeper, free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
OTTER = [sys.executable, "-m", "otter.cli.main"]
RUNNING = "server is running now ......"


class DemoError(Exception):
    """The demo cannot go on; the message is for the person before the terminal."""


class Program:
    """A manager or node that runs in its home, as ``otter ROLE run`` would be started by a user."""

    def __init__(self, role: str, home: Path, environment: dict[str, str]) -> None:
        self.role, self.home = role, home
        self._out = home / "out.log"
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [*OTTER, role, "run", "--home", str(home)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, cwd=home, start_new_session=True,
            )  # fmt: skip

    def wait_ready(self) -> None:
        wait_until(self._ready, 60, f"the {self.role} in {self.home}")

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            raise DemoError(f"the {self.role} in {self.home.name} ended: {self._out.read_text().strip()[-2000:]}")
        log = self.home / "logs" / self.role / f"{self.role}.log"
        return log.exists() and RUNNING in log.read_text("utf-8", "replace")

    def stop(self, seconds: float = 30) -> None:
        """TERM; after ``seconds`` whatever is left of its session is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        for pid in _session(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def _session(leader: int) -> list[int]:
    """Living processes of the session that ``leader`` began: all of them are its children or theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader and fields[0] != "Z":
                    found.append(int(entry.name))
    return found


class World:
    """``with World() as world:`` everything runs and both channels are started; at the end nothing is left."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.folder = ROOT / ".demo"
        self.password = secrets.token_urlsafe(9)
        self.web_port, self._rpc_port = free_port(), free_port()
        self._stack = contextlib.ExitStack()
        self._programs: list[Program] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

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

    def otter(self, *arguments: str, feed: str = "") -> str:
        """Runs ``otter ARGUMENTS`` and returns what it printed; raises DemoError with its sentence."""
        done = subprocess.run(
            [*OTTER, *arguments], input=feed, capture_output=True, text=True, env=self._environment(), timeout=300,
            check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise DemoError(f"`otter {' '.join(arguments)}` ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def _claim(self) -> None:
        self._stack.callback(os.close, _lock(Path(__file__).parent))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)  # of a demo that was killed
        self.folder.mkdir()

    def _environment(self) -> dict[str, str]:
        """A user's environment: no OTTER_* of the caller but those that a user would set here."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OTTER_")}
        manager = self.folder / "manager"
        return {**kept, "OTTER_HOME": str(manager), "OTTER_MANAGER_URL": self.url}

    def _start(self) -> None:
        self._say("starting two MariaDB servers, ZooKeeper and the manager ...")
        self.hangzhou = Mariadb(self.folder / "hangzhou", server_id=1)
        self.us_west = Mariadb(self.folder / "us-west", server_id=2)
        self.zookeeper = Zookeeper(self.folder / "zookeeper")
        jobs: list[Callable[[], None]] = [self.zookeeper.start, self.hangzhou.start, self.us_west.start, self._manager]
        for server in (self.zookeeper, self.hangzhou, self.us_west):
            self._stack.callback(server.stop)
        self._stack.callback(self._stop_programs)
        _together(jobs)
        self.hangzhou.run(*shop.shop(), *shop.report())
        self.us_west.run(*shop.shop())
        self._say("making and starting three nodes: node1 in hangzhou, node2 and node3 in us-west ...")
        self.otter("apply", "-f", "-", feed=self._document())
        _together([partial(self._node, number) for number in (1, 2, 3)])
        self._say("starting the channels shop and shop-report ...")
        _together([partial(self.otter, "channel", "start", channel) for channel in ("shop", "shop-report")])

    def _manager(self) -> None:
        home = self.folder / "manager"
        (home / "conf").mkdir(parents=True)
        given = {
            "otter.bind": "127.0.0.1",
            "otter.port": self.web_port,
            "otter.communication.manager.port": self._rpc_port,
        }
        (home / "conf" / "otter.properties").write_text("".join(f"{name} = {value}\n" for name, value in given.items()))
        password = home / "password"
        password.touch(0o600)
        password.write_text(self.password)
        self.otter("manager", "init", "--admin-password-file", str(password))
        self._run("manager", home)

    def _node(self, number: int) -> None:
        home = self.folder / f"node{number}"
        key = self.folder / "manager" / "conf" / "cluster.key"
        self.otter("node", "init", str(home), "--nid", str(number), "--manager", f"127.0.0.1:{self._rpc_port}",
                   "--cluster-key-file", str(key), "--set", "otter.bind=127.0.0.1")  # fmt: skip
        self._run("node", home)

    def _run(self, role: str, home: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OTTER_")}
        program = Program(role, home, kept)
        self._programs.append(program)
        program.wait_ready()

    def _stop_programs(self) -> None:
        """Nodes before the manager, so that each can say goodbye."""
        nodes = [program.stop for program in self._programs if program.role == "node"]
        managers = [program.stop for program in self._programs if program.role == "manager"]
        _together(nodes)
        _together(managers)

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


def _lock(folder: Path) -> int:
    """One demo in a checkout; the lock is on a folder that stays, so that its end leaves nothing behind."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise DemoError("another bin/demo runs in this checkout") from None
    return lock


def _together(jobs: Sequence[Callable[[], Any]]) -> None:
    """Runs the jobs at the same time; raises the first failure when all have ended."""
    if not jobs:
        return
    with ThreadPoolExecutor(len(jobs)) as pool:
        futures = [pool.submit(job) for job in jobs]
    for future in futures:
        future.result()


def seconds_since(begin: float) -> str:
    return f"{time.monotonic() - begin:.1f} s"
