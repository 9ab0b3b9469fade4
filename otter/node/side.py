"""The process of one side of a pipeline: its socket, its link to the node, its attempts, its end.

An attempt runs until something ends it: a lost seat, an error, a changed task, a withdrawn permit, a stop. Then
everything it held is given back and, unless we stop, the next one begins from what the target says it has.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import os
import resource
import time

import msgspec

from otter.errors import Backoff, Fatal, LeaseLost, OtterError, Retryable
from otter.model.config import Node, PipelineTask
from otter.model.stats import Check, SideReport, State
from otter.node.bootstrap import Bootstrap
from otter.rpc.link import Link, LinkClosed, SocketWire
from otter.rpc.messages import (
    Configure,
    Connect,
    Examine,
    Examined,
    LogLine,
    Message,
    Reached,
    Report,
    Stop,
    WaitFor,
)
from otter.zk.session import Session

log = logging.getLogger("otter.node.side")

#: Seconds between reports to the node.
REPORT_EVERY = 0.5
#: Seconds a stop may take to finish what is under way.
DRAIN = 15.0
#: Seconds until something that needs a person is tried again by itself (the person may have mended it meanwhile).
RETRY_FATAL = 15.0


class Side(abc.ABC):
    """Base of the two sides. Subclasses do :meth:`attempt`, :meth:`progress` and may answer waits."""

    #: A paused channel stops reading; what was read is still loaded.
    waits_for_permit = True

    def __init__(self, boot: Bootstrap) -> None:
        self.boot = boot
        self.pid = os.getpid()
        self.task: PipelineTask  # set by the first Configure
        self.nodes: dict[int, Node] = {}
        self.permit = False
        self.stopping = asyncio.Event()
        self.state, self.words = State.STARTING, "starting"
        self.last_error, self.last_error_at = "", 0.0
        self._configured = asyncio.Event()
        self._changed = asyncio.Event()
        self._node: Link | None = None
        self._jobs: set[asyncio.Task[None]] = set()

    # -- what a subclass is -------------------------------------------------------------------------------------

    @abc.abstractmethod
    async def attempt(self, session: Session) -> None:
        """One try: returns or raises when it is over; cleans up after itself."""

    @abc.abstractmethod
    async def drain(self) -> None:
        """Stop taking new work; return when nothing is under way (the caller has a deadline)."""

    @abc.abstractmethod
    def report(self) -> SideReport:
        """How far we are."""

    @abc.abstractmethod
    async def examine(self) -> list[Check]:
        """Doctor's checks of the database on this side."""

    async def wait_for(self, timeout: float) -> tuple[bool, str]:
        """Only a select side can tell when the target has what the source has now."""
        return False, "this is not the select side"

    async def load_linked(self, link: Link, nid: int) -> None:
        """A load side linked in; only a select side expects that."""
        raise LinkClosed(f"this is no select side, node {nid} has nothing to link to")

    # -- life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the node says stop, or is gone."""
        _limit_memory(self.boot.memory_limit)
        server = await asyncio.start_unix_server(self._accept, str(self.boot.socket))
        reports = asyncio.create_task(self._report_for_ever())
        try:
            await self._configured.wait()
            await self._attempts()
        finally:
            reports.cancel()
            server.close()
            for job in self._jobs:
                job.cancel()

    async def _attempts(self) -> None:
        backoff = Backoff()
        while not self.stopping.is_set():
            if not self.permit and self.waits_for_permit:
                self.say(State.PAUSED, "paused")
                await self._until_changed(None)
                continue
            began = time.monotonic()
            try:
                await self._one_attempt()
            except LeaseLost as lost:
                log.info("pipeline %s %s: %s", self.task.name, self.boot.side, lost)
            except Fatal as fatal:
                self.failed(fatal)
                self.say(State.FAILED, str(fatal))
                await self._until_changed(RETRY_FATAL)
            except OtterError as error:
                self.failed(error)
                self.say(State.HELD_UP, f"held up by {self.boot.side}: {error}")
            except Exception as error:
                log.exception("pipeline %s %s: an error we did not foresee", self.task.name, self.boot.side)
                self.failed(Retryable(f"{type(error).__name__}: {error}"))
            if time.monotonic() - began > 30:
                backoff.reset()
            if not self.stopping.is_set() and not self._changed.is_set():
                await backoff.pause()
        self.say(State.STOPPED, "stopped")

    async def _one_attempt(self) -> None:
        """The attempt, ended early when the task changes, the permit goes, or we stop (then after a drain)."""
        self._changed.clear()
        session = Session(self.boot.zookeeper_servers, self.boot.zookeeper_timeout)
        await session.open()
        work = asyncio.create_task(self.attempt(session))
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({work, changed}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN):
                        await self.drain()
                work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
        finally:
            changed.cancel()
            work.cancel()
            await session.close()

    async def _until_changed(self, timeout: float | None) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.wait()

    def say(self, state: State, words: str) -> None:
        """The state in a sentence; logged when the state is new."""
        if state is not self.state:
            log.info("pipeline %s %s: %s", getattr(self, "task", None) and self.task.name, self.boot.side, words)
        self.state, self.words = state, words

    def failed(self, error: OtterError) -> None:
        self.last_error, self.last_error_at = str(error), time.time()
        log.warning("pipeline %s %s: %s", self.task.name, self.boot.side, error)

    # -- links --------------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(SocketWire(reader, writer))
        try:
            async with asyncio.timeout(10):
                first, _ = await link.receive()
            if isinstance(first, Connect) and first.role == "node":
                await self._serve_node(link)
            elif isinstance(first, Connect):
                await self.load_linked(link, first.nid)
        except (LinkClosed, TimeoutError):
            pass
        finally:
            await link.close()

    async def _serve_node(self, link: Link) -> None:
        """The node's own link. When it closes, the node is gone and so are we."""
        self._node = link
        try:
            while True:
                message, _ = await link.receive()
                match message:
                    case Configure():
                        self._configure(message)
                    case Stop():
                        self._stop()
                    case WaitFor(id, timeout):
                        self._job(self._answer_wait(link, id, timeout))
                    case Examine(id):
                        self._job(self._answer_examine(link, id))
        except LinkClosed:
            self._stop()
            raise
        finally:
            self._node = None

    def _configure(self, message: Configure) -> None:
        self.nodes = {node.nid: node for node in message.nodes}
        same = self._configured.is_set() and message.task == self.task
        if same and (message.permit == self.permit or not self.waits_for_permit):
            return
        self.task, self.permit = message.task, message.permit
        self._configured.set()
        self._changed.set()

    def _stop(self) -> None:
        self.stopping.set()
        self._configured.set()
        self._changed.set()

    def _job(self, work: object) -> None:
        job = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _answer_wait(self, link: Link, id: int, timeout: float) -> None:  # noqa: A002
        try:
            reached, words = await self.wait_for(timeout)
        except OtterError as error:
            reached, words = False, str(error)
        with contextlib.suppress(LinkClosed):
            await link.send(Reached(id, reached, words))

    async def _answer_examine(self, link: Link, id: int) -> None:  # noqa: A002
        try:
            checks = await self.examine()
        except OtterError as error:
            checks = [Check(subject=self.boot.side, name="reachable", ok=False, words=error.message, hint=error.hint)]
        with contextlib.suppress(LinkClosed):
            await link.send(Examined(id, tuple(checks)))

    async def tell_node(self, message: Message) -> None:
        if self._node is not None:
            with contextlib.suppress(LinkClosed):
                await self._node.send(message)

    async def _report_for_ever(self) -> None:
        await self._configured.wait()
        while True:
            report = msgspec.structs.replace(
                self.report(), state=self.state, words=self.words, last_error=self.last_error,
                last_error_at=self.last_error_at, rss=_rss(), at=time.time(),
            )  # fmt: skip
            await self.tell_node(Report(report))
            await asyncio.sleep(REPORT_EVERY)


class NodeLogHandler(logging.Handler):
    """Sends a side's log lines to its node, whose file they go into; to stderr while there is no link."""

    def __init__(self, side: Side) -> None:
        super().__init__()
        self._side = side
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        line = LogLine(record.levelno, record.name, self.format(record))
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._send, line)

    def _send(self, line: LogLine) -> None:
        self._side._job(self._side.tell_node(line))


def start(boot: Bootstrap) -> None:
    """Entry of the side process."""
    asyncio.run(_main(boot))


async def _main(boot: Bootstrap) -> None:
    side = _make(boot)
    root = logging.getLogger()
    root.setLevel(boot.log_level)
    handler = NodeLogHandler(side)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root.addHandler(handler)
    await side.run()


def _make(boot: Bootstrap) -> Side:
    if boot.side == "select":
        from otter.node.select_side import SelectSide  # noqa: PLC0415 - a side loads only what it needs

        return SelectSide(boot)
    from otter.node.load_side import LoadSide  # noqa: PLC0415

    return LoadSide(boot)


def _limit_memory(limit: int) -> None:
    """A leak ends this side, not the node (D7)."""
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _rss() -> int:
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - a proc file, read twice a second
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
