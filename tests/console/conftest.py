"""The real manager in a thread of its own, behind a proxy that gives it a path prefix and can be cut; and a browser."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from playwright.sync_api import Browser, Page, sync_playwright

from bench.servers import Zookeeper, free_port
from otter import settings
from otter.manager import app as manager_app
from otter.model.process import Mainstem
from otter.model.stats import NodeReport
from otter.rpc import key as cluster_key
from otter.rpc.client import Peer
from otter.zk import paths
from otter.zk.session import Session

from .pages import Console, Watched

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PREFIX = "/deep/otter"


class Loop:
    """An event loop on a thread of its own, because Playwright's sync interface keeps this one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any], timeout: float = 60) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(20)
        self.loop.close()


class Proxy:
    """Serves the manager at ``PREFIX``; while ``cut`` is set it answers nothing but 502 and ends open answers."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.port = free_port()
        self.cut = asyncio.Event()
        self._stack: list[Callable[[], Coroutine[Any, Any, None]]] = []

    async def open(self) -> None:
        self._client = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None))
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", PREFIX + "/{path:.*}", self._pass)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self._stack = [runner.cleanup, self._client.close]

    async def close(self) -> None:
        self.cut.set()
        for step in self._stack:
            await step()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        if self.cut.is_set():
            raise web.HTTPBadGateway
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        url = f"{self.target}/{request.raw_path.removeprefix(PREFIX + '/')}"
        async with self._client.request(
            request.method, aiohttp.client.URL(url, encoded=True), headers=headers, data=await request.read() or None,
            allow_redirects=False,
        ) as answer:  # fmt: skip
            response = web.StreamResponse(status=answer.status, headers=answer.headers)
            response.headers.pop("Transfer-Encoding", None)
            with contextlib.suppress(ConnectionResetError):  # the page has gone on
                await response.prepare(request)
                await self._relay(answer, response)
        return response

    async def _relay(self, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        cut = asyncio.ensure_future(self.cut.wait())
        try:
            while True:
                chunk = asyncio.ensure_future(answer.content.readany())
                await asyncio.wait({cut, chunk}, return_when=asyncio.FIRST_COMPLETED)
                if not chunk.done() or not chunk.result():
                    chunk.cancel()
                    return
                await response.write(chunk.result())
        finally:
            cut.cancel()


@dataclass
class Manager:
    """A running manager. ``base`` is the console's address behind the prefix, ``password`` the first one."""

    loop: Loop
    base: str
    password: str
    proxy: Proxy
    peer: Peer
    key: bytes
    token: str
    end: asyncio.Event = field(default_factory=asyncio.Event)

    def post(self, path: str, body: object = None) -> None:
        """Writes through the API, for what a test needs and does not test."""

        async def send() -> None:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
                await session.post(f"{self.base}api/v1/{path}", data=msgspec.json.encode(body))

        self.loop.run(send())

    def cut(self, wanted: bool) -> None:
        self.loop.loop.call_soon_threadsafe(self.proxy.cut.set if wanted else self.proxy.cut.clear)


class Voice:
    """Speaks for node 1 where a test must decide what it says: registered in ZooKeeper, holding the mainstem of
    pipeline 1 of channel 1, reporting every half second what it was told last."""

    def __init__(self, manager: Manager, zookeeper: Zookeeper) -> None:
        self._manager = manager
        self._words: NodeReport | None = None
        self._session: Session = manager.loop.run(self._open(zookeeper.address))
        self._speaking = asyncio.run_coroutine_threadsafe(self._speak(), manager.loop.loop)

    def says(self, report: NodeReport) -> None:
        self._words = report

    async def _open(self, address: str) -> Session:
        session = Session((address,), 10.0)
        await session.open()
        await session.create(paths.node(1), b"{}", ephemeral=True)
        await session.create(paths.mainstem(1, 1), msgspec.json.encode(Mainstem(1, 3)), ephemeral=True)
        return session

    async def _speak(self) -> None:
        while True:
            if self._words is not None:
                report = msgspec.structs.replace(self._words, at=time.time())
                await self._manager.peer.call("POST", f"/rpc/v1/nodes/{report.nid}/report", report)
            await asyncio.sleep(0.5)

    def close(self) -> None:
        self._speaking.cancel()
        self._manager.loop.run(self._session.close())


@pytest.fixture
def voice(manager: Manager, keeper: Zookeeper) -> Iterator[Voice]:
    voice = Voice(manager, keeper)
    yield voice
    voice.close()


@pytest.fixture
def keeper(zookeeper: Zookeeper) -> Zookeeper:
    """The ZooKeeper without what an earlier manager left in it: every manager begins to number at 1."""

    async def wipe() -> None:
        async with Session((zookeeper.address,), 10.0) as session:
            await session.delete(paths.ROOT, recursive=True)

    loop = Loop()
    loop.run(wipe())
    loop.close()
    return zookeeper


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    ports = {"OTTER_PORT": str(free_port()), "OTTER_COMMUNICATION_MANAGER_PORT": str(free_port())}
    (tmp_path / "conf").mkdir()
    loaded = settings.load("manager", tmp_path, {**ports, "OTTER_BIND": "127.0.0.1"})
    password = manager_app.init(loaded)
    assert password
    loop = Loop()
    token = (loaded.conf / "admin.token").read_text().strip()
    proxy = Proxy(f"http://127.0.0.1:{ports['OTTER_PORT']}")
    key = cluster_key.load(loaded.path("otter.cluster.keyFile"))
    peer = Peer(f"http://127.0.0.1:{ports['OTTER_COMMUNICATION_MANAGER_PORT']}", key)
    running = Manager(loop, f"http://127.0.0.1:{proxy.port}{PREFIX}/", password, proxy, peer, key, token)
    up = threading.Event()

    async def serve() -> None:
        async with manager_app.served(loaded):
            await proxy.open()
            up.set()
            await running.end.wait()
            await peer.close()
            await proxy.close()

    served = asyncio.run_coroutine_threadsafe(serve(), loop.loop)
    assert up.wait(60), served.exception(0)
    yield running
    loop.loop.call_soon_threadsafe(running.end.set)
    served.result(60)
    loop.close()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """``open_page(locale="zh-CN", width=1440)``: a fresh browser profile each time."""
    contexts = []

    def make(locale: str = "en-GB", width: int = 1440, scheme: Any = "light") -> Page:
        context = chromium.new_context(locale=locale, viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def console(manager: Manager, open_page: Callable[..., Page]) -> Iterator[Console]:
    """An English console, logged in with a password of its own; at the end the browser may have no complaint."""
    page = open_page()
    watched = Watched(page)
    console = Console(page, manager.base)
    console.log_in("admin", manager.password)
    console.set_first_password(manager.password, "otter swims at night")
    yield console
    assert watched.troubles == []
