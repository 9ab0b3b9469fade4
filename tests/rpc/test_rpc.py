"""Authentication, sealed secrets and links over real sockets."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from otter.errors import BadConfig
from otter.model.process import Mark
from otter.rpc import auth, key, secrets
from otter.rpc.client import Peer, Refused
from otter.rpc.link import Link, LinkClosed, SocketWire, WebSocketWire, open_unix, relay
from otter.rpc.messages import Connect, Hello, Stop

KEY = bytes(range(32))


def test_key_file(tmp_path: Path) -> None:
    file = tmp_path / "conf" / "cluster.key"
    assert key.create(file)
    assert not key.create(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(key.load(file)) == 32
    with pytest.raises(BadConfig, match="otter manager init"):
        key.load(tmp_path / "none")


def test_sealed_secret() -> None:
    sealed = secrets.seal(KEY, "pässword")
    assert sealed.startswith("enc:")
    assert "ssword" not in sealed
    assert secrets.unseal(KEY, sealed) == "pässword"
    assert secrets.seal(KEY, sealed) == sealed
    with pytest.raises(BadConfig):
        secrets.unseal(bytes(32), sealed)
    with pytest.raises(BadConfig):
        secrets.unseal(KEY, "enc:rubbish")


async def serve() -> TestServer:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"path": request.raw_path, "body": (await request.read()).decode()})

    app = web.Application(middlewares=[auth.Verifier(KEY).middleware()])
    app.router.add_route("*", "/{any:.*}", echo)
    server = TestServer(app)
    await server.start_server()
    return server


async def test_peer_with_the_key_and_without() -> None:
    server = await serve()
    friend, stranger = Peer(str(server.make_url("/")), KEY), Peer(str(server.make_url("/")), bytes(32))
    try:
        assert await friend.get("/a?x=%20y", dict[str, Any]) == {"path": "/a?x=%20y", "body": ""}
        assert (await friend.post("/b", {"k": 1}, dict[str, Any]))["body"] == '{"k":1}'
        with pytest.raises(Refused, match="another cluster key") as refused:
            await stranger.get("/a", dict[str, Any])
        assert refused.value.status == 401
    finally:
        await friend.close()
        await stranger.close()
        await server.close()


async def test_a_clock_that_is_off_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    server = await serve()
    peer = Peer(str(server.make_url("/")), KEY)
    try:
        peer._signer.offset = 3600  # a site whose clock is an hour ahead
        assert await peer.get("/a", dict[str, Any])
        assert abs(peer._signer.offset) < 5
    finally:
        await peer.close()
        await server.close()


def test_replay_and_tampering_are_refused() -> None:
    signer, verifier = auth.Signer(KEY), auth.Verifier(KEY)
    header = signer.headers("POST", "/a?b", b"body")[auth.HEADER]
    assert verifier.problem("POST", "/a?c", header, b"body")
    assert verifier.problem("POST", "/a?b", header, b"other")
    assert verifier.problem("POST", "/a?b", header, b"body") == ""
    assert verifier.problem("POST", "/a?b", header, b"body") == "sent twice"
    assert not signer.learn(f"{time.time()} 00")


async def test_link_over_unix_socket_and_through_a_relay(tmp_path: Path) -> None:
    """load ⇄ WebSocket ⇄ node (relay) ⇄ Unix socket ⇄ select side, as in production."""
    got: asyncio.Queue[Any] = asyncio.Queue()

    async def side(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(SocketWire(reader, writer))
        got.put_nowait(await link.receive())
        await link.send(Hello(1, 2, Mark()), b"p" * 300_000)
        got.put_nowait(await link.receive())
        await link.close()

    async def node(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=1 << 24)
        await socket.prepare(request)
        await relay(WebSocketWire(socket), await open_unix(tmp_path / "side.sock"))
        return socket

    unix = await asyncio.start_unix_server(side, tmp_path / "side.sock")
    app = web.Application(middlewares=[auth.Verifier(KEY).middleware()])
    app.router.add_get("/link", node)
    server = TestServer(app)
    await server.start_server()
    peer = Peer(str(server.make_url("/")), KEY)
    try:
        link = Link(WebSocketWire(await peer.websocket("/link", max_size=1 << 24)))
        await link.send(Connect("load", 7), b"abc")
        assert await got.get() == (Connect("load", 7), b"abc")
        message, payload = await link.receive()
        assert message == Hello(1, 2, Mark())
        assert len(payload) == 300_000
        await link.send(Stop())
        assert await got.get() == (Stop(), b"")
        with pytest.raises(LinkClosed):
            await link.receive()
    finally:
        await peer.close()
        await server.close()
        unix.close()
    with pytest.raises(LinkClosed, match="no side listens"):
        await open_unix(tmp_path / "nobody.sock")
