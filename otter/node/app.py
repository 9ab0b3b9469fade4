"""A node, wired: everything is opened in order, and closed in reverse by the first signal (the second one hurries)."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

import otter
from otter.errors import Backoff, BadConfig, OtterError, Retryable
from otter.model.config import ChannelStatus, Node, NodeConfig, PipelineTask
from otter.model.stats import NodeReport
from otter.node.bootstrap import Bootstrap
from otter.node.config import ConfigCache, ConfigSource
from otter.node.register import Register
from otter.node.supervisor import SideKey, Supervisor
from otter.node.web import rpc_app
from otter.pipe.aria2 import Daemon
from otter.pipe.htdocs import Htdocs
from otter.pipe.serve import download_app, download_runner
from otter.rpc import key as cluster_key
from otter.rpc.client import Peer, Refused
from otter.rpc.secrets import unseal
from otter.settings import Settings
from otter.zk import paths
from otter.zk.session import Session

log = logging.getLogger("otter.node")

RUNNING = "## the otter server is running now ......"
#: Seconds between sweeps of htdocs/ and download/.
SWEEP_EVERY = 60.0


async def run(settings: Settings, nid: int) -> int:
    """Runs node ``nid`` until a signal; returns the exit code. Raises :class:`BadConfig` in words."""
    async with contextlib.AsyncExitStack() as stack:
        node = App(settings, nid)
        await node.open(stack)
        await node.until_stopped()
    log.info("## the otter server has stopped")
    return 0


class App:
    def __init__(self, settings: Settings, nid: int) -> None:
        self.settings, self.nid = settings, nid
        self.key = cluster_key.load(settings.path("otter.cluster.keyFile"))
        self.started = time.time()
        budget, ttl = settings["otter.htdocs.limit"] << 20, float(settings["otter.htdocs.ttl"])
        self.htdocs = Htdocs(settings.path("otter.htdocs.dir"), budget, ttl)
        self.download = Htdocs(settings.path("otter.download.dir"), None, ttl, "download")
        self.config: NodeConfig
        self.session: Session
        self.supervisor: Supervisor
        self.statuses: dict[int, ChannelStatus] = {}
        self._config_bell = asyncio.Event()
        self._first, self._second = asyncio.Event(), asyncio.Event()

    # -- open -------------------------------------------------------------------------------------------------------

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Everything in order; ``stack`` undoes it in reverse."""
        self._on_signals()
        stack.enter_context(_only_one(self.settings.home))
        for name in ("otter.htdocs.dir", "otter.download.dir", "otter.extend.dir"):
            self.settings.path(name).mkdir(parents=True, exist_ok=True)
        pool = self.settings["otter.communication.pool.size"]
        managers = [Peer(f"http://{at}", self.key, pool) for at in self.settings["otter.manager.address"]]
        for manager in managers:
            stack.push_async_callback(manager.close)
        source = ConfigSource(managers, self.nid, ConfigCache(self.settings.conf / "node.cache.json"))
        self.config = await self._first_config(source)
        self.session = await self._zookeeper(stack)
        register = Register(self.session, self.config.node, self.settings.home)
        await register.take()
        sockets = Path(stack.enter_context(_private_folder(self.settings.home / "run" / "sockets")))
        daemon = Daemon(str(self.settings["otter.aria2.path"]), self.settings.conf / "aria2.conf")
        await daemon.start()
        stack.push_async_callback(daemon.stop)
        self.supervisor = Supervisor(lambda key: self._boot(key, sockets), self._open_task)
        await self._serve(stack, sockets, daemon)
        stack.push_async_callback(self.supervisor.close, self._second)
        works: list[Callable[[], Awaitable[None]]] = [
            self.supervisor.run, register.keep, lambda: source.follow(self.config.version, self._new_config),
            self._watch_statuses, self._sweep_for_ever, *(partial(self._report_for_ever, m, daemon) for m in managers),
        ]  # fmt: skip
        for work in works:
            await stack.enter_async_context(_background(work))
        log.info("node %d (%s) serves on ports %d and %d", self.nid, self.config.node.name, *self._ports())
        log.info(RUNNING)

    def _on_signals(self) -> None:
        def stop() -> None:
            (self._second if self._first.is_set() else self._first).set()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)

    async def until_stopped(self) -> None:
        await self._first.wait()
        log.info("stopping: what is under way is finished first (a second signal stops at once)")

    async def _first_config(self, source: ConfigSource) -> NodeConfig:
        backoff = Backoff(1.0, 10.0)
        while True:
            try:
                return await source.first()
            except Retryable as error:
                log.error("%s; trying again", error)
                await self._pause(backoff)

    async def _zookeeper(self, stack: contextlib.AsyncExitStack) -> Session:
        backoff = Backoff(1.0, 10.0)
        while True:
            session = Session(self.config.zookeeper_servers, self.settings["otter.zookeeper.sessionTimeout"] / 1000)
            try:
                await session.open()
            except Retryable as error:
                log.error("%s; trying again", error)
                await self._pause(backoff)
                continue
            stack.push_async_callback(session.close)
            return session

    async def _pause(self, backoff: Backoff) -> None:
        """A pause that a signal ends."""
        pause, stop = asyncio.create_task(backoff.pause()), asyncio.create_task(self._first.wait())
        await asyncio.wait({pause, stop}, return_when=asyncio.FIRST_COMPLETED)
        pause.cancel()
        stop.cancel()
        if self._first.is_set():
            raise Retryable("stopped before it was up")

    def _ports(self) -> tuple[int, int]:
        return self.config.node.port, self.config.node.download_port

    async def _serve(self, stack: contextlib.AsyncExitStack, sockets: Path, daemon: Daemon) -> None:
        folders = {"htdocs": self.htdocs, "download": self.download}
        app = rpc_app(
            self.key, self.supervisor, report=lambda: self.report(daemon), folders=folders, sockets=sockets,
            payload=self.settings["otter.communication.payload"],
        )  # fmt: skip
        rpc = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        files = download_runner(download_app(self.settings.path("otter.htdocs.dir"), self.key))
        for runner, port, name in ((rpc, self._ports()[0], "port"), (files, self._ports()[1], "downloadPort")):
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            try:
                await web.TCPSite(runner, str(self.settings["otter.bind"]), port).start()
            except OSError as error:
                raise BadConfig(
                    f"{name} of node {self.config.node.name}", port, f"cannot listen on it ({error.strerror}): "
                    "stop what holds it, or give the node another port in the console",
                ) from None  # fmt: skip

    # -- work -------------------------------------------------------------------------------------------------------

    def _boot(self, key: SideKey, sockets: Path) -> Bootstrap:
        settings = self.settings
        return Bootstrap(
            side=key[0], nid=self.nid, pipeline_id=key[1], sockets=sockets,
            zookeeper_servers=self.config.zookeeper_servers,
            zookeeper_timeout=settings["otter.zookeeper.sessionTimeout"] / 1000,
            htdocs=settings.path("otter.htdocs.dir"), htdocs_budget=settings["otter.htdocs.limit"] << 20,
            htdocs_ttl=float(settings["otter.htdocs.ttl"]), download=settings.path("otter.download.dir"),
            payload=settings["otter.communication.payload"], memory_limit=settings["otter.side.memoryLimit"] << 20,
            log_level=str(settings["otter.log.level"]), aria2_conf=settings.conf / "aria2.conf", key=self.key,
        )  # fmt: skip

    def _open_task(self, task: PipelineTask) -> PipelineTask:
        """The task with clear passwords, for the sides of this node only."""

        def opened(source: Any) -> Any:
            return msgspec.structs.replace(source, password=unseal(self.key, source.password))

        return msgspec.structs.replace(task, source=opened(task.source), target=opened(task.target))

    def _new_config(self, config: NodeConfig) -> None:
        if config.zookeeper_servers != self.config.zookeeper_servers or _ports_of(config.node) != _ports_of(
            self.config.node
        ):
            log.warning("this node's ports or ZooKeeper cluster were changed: they hold after its next start")
        self.config = config
        log.info("configuration %d: %d pipelines", config.version, len(config.pipelines))
        self._config_bell.set()
        self.supervisor.want(self.config, self.statuses)

    async def _watch_statuses(self) -> None:
        """Start, pause and stop of channels are in ZooKeeper; while it is away, the last word holds."""
        while True:
            self._config_bell.clear()
            bell = self._config_bell
            with contextlib.suppress(Retryable):
                for channel_id in {task.channel_id for task in self.config.pipelines}:
                    found = await self.session.get(paths.channel(channel_id), bell)
                    self.statuses[channel_id] = _status(found[0] if found else b"")
                self.supervisor.want(self.config, self.statuses)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await bell.wait()

    async def _sweep_for_ever(self) -> None:
        while True:
            for folder in (self.htdocs, self.download):
                with contextlib.suppress(OSError):
                    gone = await asyncio.to_thread(folder.sweep, time.time())
                    if gone:
                        log.info("swept %d files nobody came for: %s", len(gone), ", ".join(gone[:5]))
            await asyncio.sleep(SWEEP_EVERY)

    def report(self, daemon: Daemon) -> NodeReport:
        htdocs, download = self.htdocs.listing(), self.download.listing()
        return NodeReport(
            nid=self.nid, config_version=self.config.version, version=otter.__version__, started=self.started,
            at=time.time(), sides=self.supervisor.reports, aria2=daemon.health(),
            htdocs_files=len(htdocs), htdocs_bytes=sum(view.size for view in htdocs),
            download_files=len(download), download_bytes=sum(view.size for view in download),
            disk_free=shutil.disk_usage(self.settings.path("otter.htdocs.dir")).free,
        )  # fmt: skip

    async def _report_for_ever(self, manager: Peer, daemon: Daemon) -> None:
        while True:
            with contextlib.suppress(Retryable, Refused):
                await manager.call("POST", f"/rpc/v1/nodes/{self.nid}/report", self.report(daemon), timeout=5)
            await asyncio.sleep(1.0)


def _status(data: bytes) -> ChannelStatus:
    try:
        return ChannelStatus(data.decode())
    except ValueError:
        return ChannelStatus.STOP


def _ports_of(node: Node) -> tuple[int, int]:
    return node.port, node.download_port


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """A lock on the folder: two nodes in one folder would write the same files."""
    home.joinpath("run").mkdir(parents=True, exist_ok=True)
    with (home / "run" / "node.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadConfig(
                "otter.nodeHome", str(home), "a node runs from this folder already: stop it first"
            ) from None
        yield


@contextlib.contextmanager
def _private_folder(note: Path) -> Iterator[str]:
    """For Unix sockets: short (their paths are limited to 107 bytes), readable by us only. ``note`` remembers where, so
    that the next life removes what a killed one left."""
    if note.exists():
        shutil.rmtree(note.read_text(), ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="otter-") as folder:
        note.write_text(folder)
        yield folder
    note.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _background(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.create_task(_again_and_again(work))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _again_and_again(work: Callable[[], Awaitable[None]]) -> None:
    """A node without one of its tasks would look alive and do nothing: one that fails begins again."""
    backoff = Backoff(0.5, 10.0)
    while True:
        try:
            await work()
        except OtterError as error:
            log.error("%s; trying again", error)
        except Exception:
            log.exception("a task of the node failed in a way we did not foresee; it begins again")
        await backoff.pause()
