"""The aria2c daemon of a node: one child process, started, watched and started again. aria2p is used in this room only.

Its RPC listens on loopback and wants a secret. Port and secret are in a file that only the node's user may read, never
on a command line; side processes read them there (:func:`address_in`), also after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import os
import re
import secrets
import socket
import time
from pathlib import Path
from typing import Any

import aria2p

from otter.errors import Retryable

RPC_TIMEOUT = 5.0  # seconds; a healthy daemon answers within a few ms
_START_TIMEOUT = 10.0
_PING_EVERY = 5.0
_PINGS_MISSED = 3
_LONGEST_BACKOFF = 30.0
_MANY = 3  # restarts within five minutes of which health() speaks although it runs again
_WINDOW = 300.0
_SIGNATURE = re.compile(r"sig=[0-9A-Fa-f]+")
_log = logging.getLogger(__name__)

#: Why each: file-allocation: preallocating blocks the RPC. allow-overwrite: a file without aria2's notes beside it is
#: of unknown content and begun anew (``continue`` would trust it); with notes it is resumed. auto-save-interval: what a
#: kill -9 may cost, seconds. always-resume: a server without ranges is no error. max-download-result: we remove each,
#: but forgotten results were seen under load. remote-time: the sweep goes by when a file came.
_OPTIONS = """\
enable-rpc=true
rpc-listen-all=false
file-allocation=none
allow-overwrite=true
auto-file-renaming=false
auto-save-interval=1
always-resume=false
max-concurrent-downloads=64
max-connection-per-server=16
min-split-size=1M
max-download-result=4096
max-tries=5
retry-wait=1
timeout=15
connect-timeout=10
no-netrc=true
remote-time=false
follow-torrent=false
follow-metalink=false
user-agent=otter
show-console-readout=false
summary-interval=0
download-result=hide
enable-color=false
console-log-level=error
"""


class Client(aria2p.Client):
    """aria2p's client over one kept connection (half the time of one for each call), and never through a proxy that the
    environment names. One thread at a time. Raises OSError when the daemon cannot be reached."""

    def __init__(self, port: int, secret: str, timeout: float = RPC_TIMEOUT) -> None:
        super().__init__("http://127.0.0.1", port, secret, timeout)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def post(self, payload: str) -> dict[str, Any]:
        """The answer to one JSON-RPC request."""
        try:
            self._connection.request("POST", "/jsonrpc", payload, {"Content-Type": "application/json"})
            answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        except (http.client.HTTPException, OSError, ValueError) as error:
            self._connection.close()  # the next call opens a new one
            raise ConnectionError(f"{type(error).__name__}: {error}") from None
        return answer

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def address_in(conf: Path) -> tuple[int, str]:
    """Port and secret of the daemon whose configuration is ``conf``; raises :class:`Retryable` while there is none."""
    try:
        options = dict(line.split("=", 1) for line in conf.read_text("ascii").splitlines())
        return int(options["rpc-listen-port"]), options["rpc-secret"]
    except (OSError, ValueError, KeyError):
        raise Retryable(
            "aria2c is not running on this node", "see aria2 in `otter status` and the node's log"
        ) from None


class Daemon:
    """Keeps one aria2c running. ``program`` is its path, ``conf`` the file for its configuration (mode 0600).

    It ends by itself soon after this process ends, however that ends."""

    def __init__(self, program: str, conf: Path) -> None:
        self.program, self.conf = program, conf
        self._port, self._secret = 0, secrets.token_hex(16)
        self._words = "aria2c has not been started"
        self._ends: list[float] = []  # monotonic times at which a life ended
        self._last_end = ""
        self._task: asyncio.Task[None] | None = None
        self.pid = 0  # of the running child, 0 = none

    def address(self) -> tuple[int, str]:
        """Port and secret of the RPC. The port stays the same over restarts as long as it can be had."""
        return self._port, self._secret

    def health(self) -> str:
        """What is wrong, in a sentence; empty when all is well."""
        if self._task is not None and self._task.done():
            return "aria2c is no longer watched: restart the node, and report what its log says"
        if self._words:
            return self._words
        recent = self._recent_ends()
        if recent < _MANY:
            return ""
        return f"aria2c runs, but was restarted {recent} times within {_WINDOW / 60:.0f} minutes: {self._last_end}"

    async def start(self, timeout: float = _START_TIMEOUT) -> None:
        """Starts it and waits until it answers, at most ``timeout`` seconds. A daemon that does not start is no error
        here: it is tried again and again, and :meth:`health` says why."""
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._keep(ready), name="aria2c")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await ready.wait()

    async def stop(self) -> None:
        """Ends it and waits for its end."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task, self._words = None, "aria2c has been stopped"
        self.conf.unlink(missing_ok=True)

    async def _keep(self, ready: asyncio.Event) -> None:
        while True:
            self._last_end = self._words = await self._live(ready)
            self._ends.append(time.monotonic())
            backoff = min(_LONGEST_BACKOFF, 0.1 * 2 ** self._recent_ends())
            _log.warning("%s; next start in %.1f s", self._words, backoff)
            await asyncio.sleep(backoff)  # the one sleep: a back-off

    def _recent_ends(self) -> int:
        self._ends = [at for at in self._ends if time.monotonic() - at < _WINDOW]
        return len(self._ends)

    async def _live(self, ready: asyncio.Event) -> str:
        """One life of the child, from start to end; returns why it ended."""
        try:
            self._write_conf()
            process = await self._spawn()
        except OSError as error:
            return f"cannot start {self.program}: {error.strerror}; install aria2 or set otter.aria2.path"
        reader = asyncio.create_task(_copy_log(process))
        self.pid = process.pid
        try:
            if not await self._answers(process):
                self._port = 0  # perhaps somebody else took it: another one next time
                return f"aria2c did not come up within {_START_TIMEOUT:.0f} s: see the node's log"
            self._words = ""
            ready.set()
            return await self._guard(process)
        finally:
            self.pid = 0
            await _end(process, reader)

    def _write_conf(self) -> None:
        self._port = _free_port(self._port)
        self.conf.parent.mkdir(parents=True, exist_ok=True)
        self.conf.unlink(missing_ok=True)
        lines = f"rpc-listen-port={self._port}\nrpc-secret={self._secret}\nstop-with-process={os.getpid()}\n"
        with os.fdopen(os.open(self.conf, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(_OPTIONS + lines)

    async def _spawn(self) -> asyncio.subprocess.Process:
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return await asyncio.create_subprocess_exec(
            self.program, f"--conf-path={self.conf}", env=env, limit=1 << 20, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    async def _answers(self, process: asyncio.subprocess.Process) -> bool:
        """Waits until the RPC answers; False when the child ended or the time is over."""
        deadline, pause = time.monotonic() + _START_TIMEOUT, 0.02
        while time.monotonic() < deadline and process.returncode is None:
            if await asyncio.to_thread(self._ping, 1.0):  # whoever took our port may be silent
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await process.wait()
            pause = min(0.5, pause * 1.5)
        return False

    async def _guard(self, process: asyncio.subprocess.Process) -> str:
        """Waits until the child ends or is deaf; returns which."""
        missed = 0
        while missed < _PINGS_MISSED:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PING_EVERY):
                    return f"aria2c ended with status {await process.wait()}"
            missed = 0 if await asyncio.to_thread(self._ping, RPC_TIMEOUT) else missed + 1
        return f"aria2c did not answer {missed} times and was killed"

    def _ping(self, timeout: float) -> bool:
        client = Client(*self.address(), timeout)
        try:
            client.get_version()
        except (OSError, aria2p.ClientException):
            return False
        finally:
            client.close()
        return True


async def _end(process: asyncio.subprocess.Process, reader: asyncio.Task[None]) -> None:
    """Kills the child (its notes are at most a second old) and waits for it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.wait()
    await asyncio.wait([reader], timeout=1.0)
    reader.cancel()


async def _copy_log(process: asyncio.subprocess.Process) -> None:
    """aria2c's words go to our log, signatures cut out."""
    if process.stdout is None:
        return
    with contextlib.suppress(ValueError):  # a line of more than a megabyte is none of aria2c's
        async for line in process.stdout:
            if line.strip():
                _log.warning("aria2c: %s", _SIGNATURE.sub("sig=...", line.decode("utf-8", "replace").strip()))


def _free_port(wanted: int) -> int:
    """``wanted`` when it can be had, else (or for 0) another one. aria2c itself would go on with ``[::1]`` alone."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # our own old connections do not matter
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
