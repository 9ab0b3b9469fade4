"""A manager and nodes as real processes, each in a home of its own, driven as a user would: by the command line.

Shared by the demo and the whole-system tests.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.servers import free_port, wait_until

OTTER = [sys.executable, "-m", "otter.cli.main"]
RUNNING = "## the otter server is running now ......"


class Ended(Exception):
    """A program or command ended badly; the message is for the person before the terminal."""


class Program:
    """A manager or node that runs in its home, as ``otter ROLE run`` would be started by a user."""

    def __init__(self, role: str, home: Path, environment: Mapping[str, str]) -> None:
        self.role, self.home = role, home
        self._out = home / "out.log"
        self._log = home / "logs" / role / f"{role}.log"
        self._before = len(self.log())
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [*OTTER, role, "run", "--home", str(home)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, cwd=home, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        """The log file, earlier lives included."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def said(self) -> str:
        """What it wrote to its terminal in this life."""
        return self._out.read_text("utf-8", "replace").strip()

    def wait_ready(self, seconds: float = 60) -> None:
        wait_until(self._ready, seconds, f"the {self.role} in {self.home}")

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            raise Ended(f"the {self.role} in {self.home.name} ended: {self.said()[-2000:]}")
        return RUNNING in self.log()[self._before :]

    def stop(self, seconds: float = 30) -> None:
        """TERM; after ``seconds`` whatever is left of its session is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        for pid in session_of(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def kill(self) -> None:
        """KILL to this process alone, as a crash would: its children are left to notice."""
        self.process.kill()
        self.process.wait()


def session_of(leader: int) -> list[int]:
    """Living processes of the session that ``leader`` began: all of them are its children or theirs."""
    return [pid for pid, fields in _processes() if int(fields[3]) == leader]


def children_of(parent: int, name: str) -> list[int]:
    """Living children of ``parent`` with ``name`` in their command line."""
    found = []
    for pid, fields in _processes():
        if int(fields[1]) == parent:
            with contextlib.suppress(OSError):
                if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
    return found


def _processes() -> list[tuple[int, list[str]]]:
    """Every living process with its ``/proc/PID/stat`` from the state on: state, parent, group, session, ..."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    found.append((int(entry.name), fields))
    return found


def together(jobs: Sequence[Callable[[], Any]]) -> None:
    """Runs the jobs at the same time; raises the first failure when all have ended."""
    if not jobs:
        return
    with ThreadPoolExecutor(len(jobs)) as pool:
        futures = [pool.submit(job) for job in jobs]
    for future in futures:
        future.result()


class Installation:
    """A manager and its nodes below ``folder``, on loopback. ``settings`` go into every otter.properties."""

    def __init__(self, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        self.folder = folder
        self.settings = {"otter.bind": "127.0.0.1", **(settings or {})}
        self.password = secrets.token_urlsafe(9)
        self.web_port, self.rpc_port = free_port(), free_port()
        self.manager: Program | None = None
        self.nodes: dict[int, Program] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def home(self) -> Path:
        """The manager's home."""
        return self.folder / "manager"

    def home_of(self, nid: int) -> Path:
        return self.folder / f"node{nid}"

    # -- commands -----------------------------------------------------------------------------------------------

    def run(self, *arguments: str, feed: str = "", timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Runs ``otter ARGUMENTS`` however it ends."""
        environment = {**_clean(), "OTTER_HOME": str(self.home), "OTTER_MANAGER_URL": self.url}
        return subprocess.run(
            [*OTTER, *arguments], input=feed, capture_output=True, text=True, env=environment, timeout=timeout,
            check=False,
        )  # fmt: skip

    def otter(self, *arguments: str, feed: str = "") -> str:
        """Runs ``otter ARGUMENTS`` and returns what it printed; raises :class:`Ended` with its sentence."""
        done = self.run(*arguments, feed=feed)
        if done.returncode != 0:
            raise Ended(f"`otter {' '.join(arguments)}` ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    # -- programs -----------------------------------------------------------------------------------------------

    def init_manager(self) -> None:
        """Makes the manager's home, keys and admin account."""
        (self.home / "conf").mkdir(parents=True)
        given = {
            **self.settings,
            "otter.port": self.web_port,
            "otter.communication.manager.port": self.rpc_port,
        }
        lines = "".join(f"{name} = {value}\n" for name, value in given.items())
        (self.home / "conf" / "otter.properties").write_text(lines)
        password = self.home / "password"
        password.touch(0o600)
        password.write_text(self.password)
        self.otter("manager", "init", "--admin-password-file", str(password))

    def start_manager(self) -> Program:
        self.manager = Program("manager", self.home, _clean())
        self.manager.wait_ready()
        return self.manager

    def init_node(self, nid: int, **settings: object) -> Path:
        """Makes a node's home; returns it."""
        home = self.home_of(nid)
        key = self.home / "conf" / "cluster.key"
        given = [f"--set={name}={value}" for name, value in {**self.settings, **settings}.items()]
        self.otter("node", "init", str(home), "--nid", str(nid), "--manager", f"127.0.0.1:{self.rpc_port}",
                   "--cluster-key-file", str(key), *given)  # fmt: skip
        return home

    def start_node(self, nid: int) -> Program:
        """Starts it (again) and waits until it serves."""
        self.nodes[nid] = program = Program("node", self.home_of(nid), _clean())
        program.wait_ready()
        return program

    def stop(self) -> None:
        """Nodes before the manager, so that each can say goodbye."""
        together([program.stop for program in self.nodes.values()])
        if self.manager is not None:
            self.manager.stop()


def _clean() -> dict[str, str]:
    """A user's environment: no OTTER_* of the caller."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OTTER_")}
