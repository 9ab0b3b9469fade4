"""Keeps the right side processes running: one for each side of each pipeline that this node takes part in (D7).

A pure function says which sides should run; the loop starts what is missing, stops what is too much, tells changes, and
starts again what died or fell silent.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess

from otter.errors import OtterError, Retryable
from otter.model.config import ChannelStatus, NodeConfig, PipelineTask
from otter.model.stats import SideReport
from otter.node import side as side_process
from otter.node.bootstrap import Bootstrap
from otter.rpc.link import Link, LinkClosed, open_unix
from otter.rpc.messages import Configure, Connect, Examine, Examined, LogLine, Reached, Report, Stop, WaitFor

log = logging.getLogger("otter.node.supervisor")

#: Seconds a side may take to come up, to be silent, and to stop.
COME_UP, SILENT, GO_DOWN = 30.0, 20.0, 25.0

#: multiprocessing's exit code of a child whose forkserver is gone: nobody knows, it may still live.
ORPHANED = 255

SideKey = tuple[str, int]  # ("select" | "load", pipeline id)


@dataclass(frozen=True)
class Wanted:
    """A side that should run, and whether it may move."""

    task: PipelineTask
    permit: bool


def wanted_sides(config: NodeConfig, statuses: Mapping[int, ChannelStatus]) -> dict[SideKey, Wanted]:
    """Which sides this node should run. PAUSE keeps them up without a permit; STOP (or unknown) runs none."""
    wanted: dict[SideKey, Wanted] = {}
    for task in config.pipelines:
        status = statuses.get(task.channel_id, ChannelStatus.STOP)
        if status is ChannelStatus.STOP:
            continue
        permit = status is ChannelStatus.START
        if config.node.nid in task.select_nids:
            wanted["select", task.id] = Wanted(task, permit)
        if config.node.nid in task.load_nids:
            wanted["load", task.id] = Wanted(task, permit)
    return wanted


@dataclass
class Child:
    """A side process. ``told`` is the last Configure it got."""

    key: SideKey
    process: ForkServerProcess
    link: Link | None = None
    told: Configure | None = None
    heard_at: float = field(default_factory=time.monotonic)
    report: SideReport | None = None
    stopping: bool = False
    answers: dict[int, asyncio.Future[Reached | Examined]] = field(default_factory=dict)
    ended: bool = False

    def kill(self) -> None:
        """Nothing happens when it has not been started or has ended."""
        if self.process.pid is not None and not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)  # Process.kill does nothing once the forkserver is gone

    async def end(self) -> None:
        """Waits for its end, for five seconds if it was asked to, and sees to it."""
        if self.process.pid is None:
            return
        if self.link is not None:
            await asyncio.to_thread(self.process.join, 5)
        if self.process.is_alive() or self.process.exitcode == ORPHANED:
            self.kill()
            await asyncio.to_thread(self.process.join, 5)
        self.ended = True


class Supervisor:
    """``boot(key)`` makes a side's bootstrap; ``open_task(task)`` gives the task with clear passwords."""

    def __init__(self, boot: Callable[[SideKey], Bootstrap], open_task: Callable[[PipelineTask], PipelineTask]) -> None:
        self._boot, self._open_task = boot, open_task
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["otter.node.select_side", "otter.node.load_side"])
        self._children: dict[SideKey, Child] = {}
        self._keepers: dict[SideKey, asyncio.Task[None]] = {}
        self._not_before: dict[SideKey, float] = {}
        self._wanted: dict[SideKey, Wanted] = {}
        self._config: NodeConfig | None = None
        self._bell = asyncio.Event()
        self._ids = itertools.count(1)

    def want(self, config: NodeConfig, statuses: Mapping[int, ChannelStatus]) -> None:
        """The new picture; the loop does the rest."""
        self._config = config
        self._wanted = wanted_sides(config, statuses)
        self._bell.set()

    @property
    def reports(self) -> tuple[SideReport, ...]:
        return tuple(child.report for child in self._children.values() if child.report)

    # -- the loop -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever; one look a second, and at once when the picture changed."""
        while True:
            await self._carry_out()
            self._bell.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._bell.wait()

    async def _carry_out(self) -> None:
        now = time.monotonic()
        for key, child in list(self._children.items()):
            if key not in self._wanted:
                await self._stop(child)
            elif now - child.heard_at > SILENT:
                log.error(
                    "the %s side of pipeline %d is silent for %.0f s: it is killed and started again", *key, SILENT
                )
                child.kill()
        for key, wanted in self._wanted.items():
            child_or_none = self._children.get(key)
            if child_or_none is not None:
                await self._configure(child_or_none, wanted)
            elif self._not_before.get(key, 0.0) <= now:
                self._keepers[key] = asyncio.create_task(self._keep(key))

    async def _configure(self, child: Child, wanted: Wanted) -> None:
        if child.link is None or self._config is None or child.stopping:
            return
        try:
            message = Configure(self._open_task(wanted.task), self._config.nodes, wanted.permit)
            if message != child.told:
                child.told = message
                await child.link.send(message)
        except OtterError as error:
            log.error("the %s side of pipeline %d: %s", *child.key, error)

    async def _stop(self, child: Child) -> None:
        if child.stopping:
            return
        child.stopping = True
        if child.link is None:
            return  # it is just coming up: whoever waits for that sees that it is not wanted any more
        with contextlib.suppress(LinkClosed):
            await child.link.send(Stop())
        asyncio.get_running_loop().call_later(GO_DOWN, child.kill)

    # -- one side ---------------------------------------------------------------------------------------------------

    async def _keep(self, key: SideKey) -> None:
        """One life of a side, from its start to its end."""
        boot = self._boot(key)
        with contextlib.suppress(FileNotFoundError):
            boot.socket.unlink()
        process = self._context.Process(target=side_process.start, args=(boot,), name=f"otter {key[0]} {key[1]}")
        child = self._children[key] = Child(key, process)
        began = time.monotonic()
        try:
            await asyncio.to_thread(process.start)
            log.info("the %s side of pipeline %d runs as process %d", *key, process.pid)
            await self._serve(child, boot)
        except (OtterError, OSError, EOFError) as error:  # the last two: the forkserver is gone, the next try makes one
            log.warning("the %s side of pipeline %d: %s", *key, str(error) or type(error).__name__)
        finally:
            await self._buried(child, began)

    async def _serve(self, child: Child, boot: Bootstrap) -> None:
        child.link = link = await self._connect(child, boot)
        await link.send(Connect("node", boot.nid))
        self._bell.set()
        while True:
            message, _ = await link.receive()
            child.heard_at = time.monotonic()
            match message:
                case Report(report):
                    child.report = report
                case LogLine(level, name, text):
                    logging.getLogger(name).log(level, "%s", text)
                case Reached(id=id) | Examined(id=id):
                    if id in child.answers:
                        child.answers.pop(id).set_result(message)

    async def _connect(self, child: Child, boot: Bootstrap) -> Link:
        deadline = time.monotonic() + COME_UP
        while True:
            try:
                return Link(await open_unix(boot.socket))
            except LinkClosed:
                if time.monotonic() > deadline or child.stopping or not child.process.is_alive():
                    raise Retryable("it did not come up") from None
                await asyncio.sleep(0.02)  # its socket appears within some milliseconds; there is no event for that

    async def _buried(self, child: Child, began: float) -> None:
        """Gives everything of an ended side back and says when the next may start."""
        if child.link:
            await child.link.close()
        await child.end()
        if not child.stopping:
            log.warning("the %s side of pipeline %d ended (exit %s)", *child.key, child.process.exitcode)
        for answer in child.answers.values():
            answer.cancel()
        short = time.monotonic() - began < 10 and not child.stopping
        self._not_before[child.key] = time.monotonic() + (2.0 if short else 0.0)
        self._children.pop(child.key, None)
        self._keepers.pop(child.key, None)
        self._bell.set()

    async def ask(self, key: SideKey, question: type[WaitFor] | type[Examine], timeout: float) -> Reached | Examined:
        """Asks a side of this node; raises :class:`Retryable` when it does not run or does not answer."""
        child = self._children.get(key)
        if child is None or child.link is None:
            raise Retryable(f"the {key[0]} side of pipeline {key[1]} does not run on this node")
        number = next(self._ids)
        answer: asyncio.Future[Reached | Examined] = asyncio.get_running_loop().create_future()
        child.answers[number] = answer
        await child.link.send(WaitFor(number, timeout) if question is WaitFor else Examine(number))
        try:
            async with asyncio.timeout(timeout + 10):
                return await answer
        except (TimeoutError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not answer.cancelled():
                raise
            raise Retryable(f"the {key[0]} side of pipeline {key[1]} did not answer") from None
        finally:
            child.answers.pop(number, None)

    async def close(self, now: asyncio.Event) -> None:
        """Stops all sides, those that select first: drains, or kills when ``now`` is set (the second signal)."""
        self._wanted = {}
        for side in ("select", "load"):
            await self._close([child for key, child in self._children.items() if key[0] == side], now)

    async def _close(self, children: list[Child], now: asyncio.Event) -> None:
        for child in children:
            await self._stop(child)
        hurry: asyncio.Task[object] = asyncio.create_task(now.wait())
        keepers = [self._keepers[child.key] for child in children if child.key in self._keepers]
        if keepers:
            gone: asyncio.Task[object] = asyncio.create_task(asyncio.wait(keepers))
            await asyncio.wait({gone, hurry}, return_when=asyncio.FIRST_COMPLETED)
            for child in children:
                if child.process.is_alive():
                    child.kill()
            await gone
        hurry.cancel()
