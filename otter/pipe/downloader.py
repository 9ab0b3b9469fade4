"""Brings batch files from another node into ``download/``, through the node's aria2c.

Each download is a small conversation: ask aria2c to begin, wait for its bell (a notification; without one, look after
two seconds at the latest), and begin again when it has forgotten, because it was killed. What came is believed only
after its SHA-256 was checked here."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aria2p
import websocket

from otter.errors import Damaged, Retryable
from otter.pipe import file
from otter.pipe.aria2 import Client
from otter.pipe.htdocs import CONTROL_SUFFIX
from otter.pipe.url import SIGNATURE_HEADER

Source = Callable[[], tuple[int, str]]
Answer = dict[str, Any]  # of aria2's tellStatus, or a status of ours: begun, lost (not known), away (no aria2c)

_KEYS = ["status", "completedLength", "errorCode", "errorMessage"]
_FIRST_LOOK, _SLOWEST_LOOK = 0.25, 2.0  # seconds between looks while no bell rings
_RECONNECT = 0.2
_RESEND = "it is asked for again by itself"
_REASONS = {
    -1: ("the connection was refused or lost", "is that node running, and its download port reachable?"),
    2: ("timed out", "look at the link between the two nodes"),
    9: ("the disk of {folder} is full", "free some space"),
    19: ("its name cannot be resolved", "set an IP as the node's (external) address"),
}
_UNKNOWN = ("{words} (aria2 error {code})", "look at the node's log")
_log = logging.getLogger(__name__)


class Missing(Damaged):
    """The other node does not have the file (any more), or the URL has expired: ask for RESEND."""


@dataclass(frozen=True)
class Order:
    """One download. ``url`` is without its signature, which goes into ``header``: aria2c writes URLs to its log."""

    gid: str
    url: str
    header: str
    path: Path
    size: int
    split: int

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def options(self) -> dict[str, Any]:
        """Options of aria2's ``addUri``."""
        return {
            "gid": self.gid, "dir": str(self.path.parent), "out": self.path.name, "split": str(self.split),
            "max-connection-per-server": str(self.split), "header": [self.header],
        }  # fmt: skip


def order(url: str, path: Path, size: int, split: int) -> Order:
    """The order for ``url``; the same path is the same download (GID) to aria2c, however often it is ordered."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    header = f"{SIGNATURE_HEADER}: {query.pop('sig', '')}"
    gid = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Order(gid, urlunsplit(parts._replace(query=urlencode(query))), header, path, size, split)


class Downloader:
    """Downloads into ``folder`` through the aria2c that ``source()`` names (port and secret; asked often, so that a
    restarted one is found). For one event loop::

    async with Downloader(source, folder) as downloader:
        path = await downloader.fetch(url, name, size, digest)
    """

    def __init__(self, source: Source, folder: Path) -> None:
        self._folder = folder
        self._line = Line(source)
        self._thread = ThreadPoolExecutor(1, "aria2-rpc")
        self._ears = Ears(source, self._ring, self._stopped)
        self._bells: dict[str, asyncio.Event] = {}
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def __aenter__(self) -> Downloader:
        self._loop = asyncio.get_running_loop()
        self._ears.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._thread.submit(self._line.close)
        await asyncio.to_thread(self._thread.shutdown)
        self._ears.close()

    async def fetch(
        self, url: str, name: str, size: int, digest: str, *, split: int = 4, timeout: float = 60.0
    ) -> Path:
        """The file ``name`` of ``size`` bytes with SHA-256 ``digest`` (hex), over up to ``split`` connections. What is
        there already, whole or in part, is not fetched again. Gives up after ``timeout`` seconds without a new byte.

        Raises :class:`Missing` (404, expired), :class:`Damaged` (twice other bytes than promised), :class:`Retryable`
        (everything that may pass: refused, timed out, disk full, no aria2c)."""
        path = self._folder / file.checked(name)
        turn = self._turns.setdefault(name, asyncio.Lock())
        async with turn:
            if await asyncio.to_thread(is_whole, path, size, digest):
                return path
            make_ready(path)
            for _ in range(2):
                await self._bring(order(url, path, size, split), timeout)
                if await asyncio.to_thread(is_whole, path, size, digest):
                    return path
                _log.warning("%s came damaged from %s", name, urlsplit(url).netloc)
                discard(path)
        raise Damaged(f"{name} came damaged twice from {urlsplit(url).netloc}: its SHA-256 does not fit", _RESEND)

    async def _bring(self, wanted: Order, timeout: float) -> None:
        """Returns when aria2c says that the download is complete; otherwise nothing of it stays in aria2c."""
        bell = self._bells[wanted.gid] = asyncio.Event()
        try:
            await self._attend(wanted, bell, timeout)
        except (asyncio.CancelledError, Retryable):
            self._thread.submit(self._line.abandon, wanted.gid)
            raise
        finally:
            del self._bells[wanted.gid]

    async def _attend(self, wanted: Order, bell: asyncio.Event, timeout: float) -> None:
        begun, done, deadline, pause = False, -1, time.monotonic() + timeout, _FIRST_LOOK
        while True:
            bell.clear()
            question = self._line.look if begun else self._line.begin
            found = await self._loop.run_in_executor(self._thread, question, wanted)
            if is_over(found, wanted):
                return
            begun = found["status"] not in ("lost", "away")
            if (now_done := int(found.get("completedLength", done))) > done:
                done, deadline = now_done, time.monotonic() + timeout
            if time.monotonic() > deadline:
                raise silence(wanted, found, timeout)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await bell.wait()
            pause = min(_SLOWEST_LOOK, pause * 2)

    def _ring(self, gid: str) -> None:
        """From the ears' thread: something happened to ``gid`` ("": to all)."""

        def ring() -> None:
            for bell in list(self._bells.values()) if not gid else filter(None, [self._bells.get(gid)]):
                bell.set()

        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(ring)

    def _stopped(self, gid: str) -> None:
        """From the ears' thread: an abandoned download has really stopped, now its result can go."""
        with contextlib.suppress(RuntimeError):  # closing
            self._thread.submit(self._line.forget, gid)
        self._ring(gid)


class Line:
    """Questions to aria2c. Blocking, for one thread; never raises, an aria2c that cannot be reached is ``away``."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._client: Client | None = None

    def begin(self, wanted: Order) -> Answer:
        """Begins the download, or joins it when aria2c has it already (from an earlier life of this process)."""
        added = self._add(wanted)
        if added["status"] != "refused":
            return added
        known = self.look(wanted)
        return self._add(wanted) if known["status"] in ("error", "lost") else known

    def _add(self, wanted: Order) -> Answer:
        try:
            self._connected().add_uri([wanted.url], wanted.options())
        except aria2p.ClientException as error:
            return _answer("away" if "Unauthorized" in error.message else "refused", error.message)
        except (OSError, Retryable) as error:
            return _answer("away", str(error))
        return _answer("begun")

    def look(self, wanted: Order) -> Answer:
        """How the download is; its result is removed once it has ended, because aria2c keeps only so many."""
        try:
            found: Answer = self._connected().tell_status(wanted.gid, _KEYS)
        except aria2p.ClientException as error:
            return _answer("away" if "Unauthorized" in error.message else "lost", error.message)
        except (OSError, Retryable) as error:
            return _answer("away", str(error))
        if found["status"] in ("complete", "error", "removed"):
            self.forget(wanted.gid)
        return _answer("lost") if found["status"] == "removed" else found

    def forget(self, gid: str) -> None:
        """Removes a result."""
        with contextlib.suppress(OSError, Retryable, aria2p.ClientException):
            self._connected().remove_download_result(gid)

    def abandon(self, gid: str) -> None:
        """Stops a download; what has come stays on disk, with aria2's notes, for another try."""
        with contextlib.suppress(OSError, Retryable, aria2p.ClientException):
            self._connected().multicall2([(Client.FORCE_REMOVE, [gid]), (Client.REMOVE_DOWNLOAD_RESULT, [gid])])

    def _connected(self) -> Client:
        port, secret = self._source()
        if self._client is None or (self._client.port, self._client.secret) != (port, secret):
            self.close()
            self._client = Client(port, secret)
        return self._client

    def close(self) -> None:
        """Closes the connection; the next question opens a new one."""
        if self._client:
            self._client.close()
        self._client = None


class Ears:
    """A thread that hears aria2c's notifications, and connects again when aria2c was restarted.

    ``ring(gid)`` and ``stopped(gid)`` are called on that thread; ``ring("")`` when the connection broke."""

    def __init__(self, source: Source, ring: Callable[[str], None], stopped: Callable[[str], None]) -> None:
        self._source, self._ring, self._stopped = source, ring, stopped
        self._closing = threading.Event()
        self._client: aria2p.Client | None = None
        self._thread = threading.Thread(target=self._hear, name="aria2-ears", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stops listening; the thread ends within a second, nobody need wait for it."""
        self._closing.set()
        if self._client:
            self._client.stop_listening()

    def _hear(self) -> None:
        pause = _RECONNECT
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                self._listen()
            except (OSError, ValueError, Retryable, websocket.WebSocketException, aria2p.ClientException) as error:
                _log.debug("no notifications from aria2c: %s", error)
            self._ring("")
            pause = _RECONNECT if time.monotonic() - began > 1 else min(_SLOWEST_LOOK, pause * 2)
            self._closing.wait(pause)

    def _listen(self) -> None:
        """Returns when aria2c has gone."""
        port, secret = self._source()
        self._client = aria2p.Client("http://127.0.0.1", port, secret)
        if not self._closing.is_set():
            self._client.listen_to_notifications(
                on_download_complete=self._ring, on_download_error=self._ring, on_download_stop=self._stopped,
                timeout=1, handle_signals=False,
            )  # fmt: skip


def is_whole(path: Path, size: int, digest: str) -> bool:
    """Whether ``path`` has exactly the bytes that ``digest`` (SHA-256, hex) stands for. Reads all of it."""
    try:
        if path.stat().st_size != size or path.with_name(path.name + CONTROL_SUFFIX).exists():
            return False
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == digest
    except OSError:
        return False


def is_over(found: Answer, wanted: Order) -> bool:
    """Whether aria2c is done with it; raises the error it ended with."""
    if found["status"] in ("error", "refused"):
        raise failure(wanted, int(found.get("errorCode") or 1), str(found.get("errorMessage", "")))
    if found["status"] != "lost":
        return bool(found["status"] == "complete")
    notes = wanted.path.with_name(wanted.path.name + CONTROL_SUFFIX)  # forgotten, but perhaps it was complete
    return wanted.path.exists() and not notes.exists() and wanted.path.stat().st_size == wanted.size


def make_ready(path: Path) -> None:
    """The folder exists and may be written, or :class:`Retryable`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error.strerror or "") from None
    if not os.access(path.parent, os.W_OK):
        raise _cannot_write(path, "permission denied, or a read-only disk")


def discard(path: Path) -> None:
    """Removes a file and aria2's notes on it."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + CONTROL_SUFFIX).unlink(missing_ok=True)


def failure(wanted: Order, code: int, words: str) -> Retryable:
    """aria2's exit code and message as an error of ours. The codes are in aria2c(1), "EXIT STATUS"."""
    what = f"{wanted.path.name} cannot be downloaded from {wanted.host}"
    if code == 3:
        return Missing(f"{what}: it is not there any more", _RESEND)
    if code in (22, 24) and words.endswith(("401", "403", "410")):
        return Missing(f"{what}: the address has expired, or the cluster keys differ", _RESEND)
    if code in (15, 16, 17, 18) and "No space left" not in words:
        return _cannot_write(wanted.path, words)
    lost = "refused" in words or (code == 1 and "No URI" in words)  # the second: all its connections were, one by one
    reason, hint = _REASONS.get(9 if "No space left" in words else -1 if lost else code, _UNKNOWN)
    return Retryable(f"{what}: {reason.format(words=words, code=code, folder=wanted.path.parent)}", hint)


def silence(wanted: Order, found: Answer, timeout: float) -> Retryable:
    """The error for ``timeout`` seconds without a new byte."""
    if found["status"] in ("away", "lost"):
        words = f"aria2c has not answered for {timeout:.0f} s: {found.get('errorMessage', '')}"
        return Retryable(words, "see aria2 in `otter status` and the node's log")
    words = f"{wanted.path.name}: no byte came from {wanted.host} for {timeout:.0f} s"
    return Retryable(words, "look at the link between the two nodes")


def _cannot_write(path: Path, words: str) -> Retryable:
    return Retryable(f"cannot write into {path.parent}: {words}", "make otter.download.dir writable for the node")


def _answer(status: str, words: str = "") -> Answer:
    return {"status": status, "errorMessage": words}
