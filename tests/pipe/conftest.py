"""A real download port and a real aria2c for the tests of this room."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from bench.servers import free_port
from otter.pipe import url
from otter.pipe.aria2 import Daemon, address_in
from otter.pipe.downloader import Downloader
from otter.pipe.file import pack
from otter.pipe.htdocs import Htdocs
from otter.pipe.serve import download_app, download_runner
from tests.pipe.batches import batch

KEY = bytes(range(32))


@dataclass
class Port:
    """A download port that can be stopped and started; ``slow`` is a pause in seconds for each 64 KiB."""

    folder: Path
    number: int = field(default_factory=free_port)
    slow: float = 0.0
    served: list[tuple[int, int]] = field(default_factory=list)  # (status, bytes of the answer)
    seen: list[str] = field(default_factory=list)  # request lines
    damage: int = 0  # so many answers get a flipped bit
    runner: web.AppRunner | None = None

    @property
    def htdocs(self) -> Htdocs:
        return Htdocs(self.folder)

    async def start(self) -> None:
        app = download_app(self.folder, KEY)
        app.middlewares.append(self._meddle)
        self.runner = download_runner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.number, reuse_address=True).start()

    async def stop(self) -> None:
        if self.runner:
            await self.runner.cleanup()
        self.runner = None

    def publish(self, size: int, number: int = 1) -> tuple[str, str, int, str, bytes]:
        """A batch file of about ``size`` bytes: (url, name, size, digest, data)."""
        packed = pack(batch(number, size, 1))
        self.htdocs.publish(packed.name, packed.data)
        return self.sign(packed.name), packed.name, len(packed.data), packed.digest, packed.data

    def sign(self, name: str, life: float = 60) -> str:
        return url.sign(f"http://127.0.0.1:{self.number}", name, 2, time.time() + life, KEY)

    @web.middleware
    async def _meddle(self, request: web.Request, handler: Callable[..., object]) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.raw_path}")
        answer = await handler(request)  # type: ignore[misc]
        if isinstance(answer, web.FileResponse) and (self.slow or self.damage):
            return await self._slowly(request)
        return answer  # type: ignore[return-value]

    async def _slowly(self, request: web.Request) -> web.StreamResponse:
        data = bytearray((self.folder / request.match_info["file"]).read_bytes())
        if self.damage:
            self.damage -= 1
            data[len(data) // 2] ^= 1
        asked = request.http_range
        begin, end = asked.start or 0, min(asked.stop or len(data), len(data))
        answer = web.StreamResponse(status=206 if asked.start is not None else 200)
        answer.content_length = end - begin
        if answer.status == 206:
            answer.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
        await answer.prepare(request)
        sent = 0
        self.served.append((answer.status, 0))
        at = len(self.served) - 1
        for offset in range(begin, end, 65536):
            chunk = bytes(data[offset : min(end, offset + 65536)])
            await answer.write(chunk)
            sent += len(chunk)
            self.served[at] = (answer.status, sent)
            await asyncio.sleep(self.slow)
        return answer


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    (tmp_path / "htdocs").mkdir()
    port = Port(tmp_path / "htdocs")
    await port.start()
    yield port
    await port.stop()


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    daemon = Daemon("aria2c", tmp_path / "run" / "aria2.conf")
    await daemon.start()
    assert daemon.health() == ""
    yield daemon
    await daemon.stop()


@pytest.fixture
async def downloader(daemon: Daemon, tmp_path: Path) -> AsyncIterator[Downloader]:
    source = functools.partial(address_in, daemon.conf)  # as a side process does
    async with Downloader(source, tmp_path / "download") as downloader:
        yield downloader


async def until(ready: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits until ``ready()`` is true."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def command_lines() -> str:
    """The command lines and the environments of all processes but ours."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            for name in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    found.append((folder / name).read_bytes().decode("utf-8", "replace"))
    return "\n".join(found)
