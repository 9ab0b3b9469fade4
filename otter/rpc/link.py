"""A link: framed messages, each with an optional payload, over a Unix socket or a WebSocket.

Frame: length of the message (4 bytes, big endian), the message (msgpack), the payload. On a Unix socket the whole
frame is preceded by its length (4 bytes); a WebSocket message is one frame.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec
from aiohttp import web

from otter.errors import Retryable
from otter.rpc.messages import AnyMessage, Message

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)

#: A frame longer than this is not one of ours.
MAX_FRAME = 256 << 20


class LinkClosed(Retryable):
    """The other end went away."""


class Wire(Protocol):
    """What carries frames."""

    async def write(self, frame: bytes) -> None: ...
    async def read(self) -> bytes: ...
    async def close(self) -> None: ...


class SocketWire:
    """Frames over a Unix socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def write(self, frame: bytes) -> None:
        try:
            self._writer.write(len(frame).to_bytes(4, "big"))
            self._writer.write(frame)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise LinkClosed(f"the link closed: {error}") from None

    async def read(self) -> bytes:
        try:
            length = int.from_bytes(await self._reader.readexactly(4), "big")
            if length > MAX_FRAME:
                raise LinkClosed(f"the link sent a frame of {length} bytes")
            return await self._reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise LinkClosed(f"the link closed: {type(error).__name__}") from None

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class WebSocketWire:
    """Frames over a WebSocket, either end."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse | web.WebSocketResponse) -> None:
        self._socket = socket

    async def write(self, frame: bytes) -> None:
        try:
            await self._socket.send_bytes(frame)
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise LinkClosed(f"the link closed: {error}") from None

    async def read(self) -> bytes:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        raise LinkClosed(f"the link closed: {message.type.name.lower()}")

    async def close(self) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError, RuntimeError):
            await self._socket.close()


class Link:
    """Messages over a wire. One task may receive; any may send."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._lock = asyncio.Lock()

    async def send(self, message: Message, payload: bytes = b"") -> None:
        """Raises :class:`LinkClosed`."""
        head = _encoder.encode(message)
        async with self._lock:
            await self._wire.write(len(head).to_bytes(4, "big") + head + payload)

    async def receive(self) -> tuple[AnyMessage, bytes]:
        """The next message and its payload; raises :class:`LinkClosed`."""
        frame = await self._wire.read()
        end = 4 + int.from_bytes(frame[:4], "big")
        try:
            return _decoder.decode(frame[4:end]), frame[end:]
        except msgspec.MsgspecError as error:
            raise LinkClosed(f"the link sent what we do not understand ({error}): are the versions alike?") from None

    async def close(self) -> None:
        await self._wire.close()


async def open_unix(path: Path, timeout: float = 5.0) -> SocketWire:
    """Connects to a side's socket; raises :class:`LinkClosed` when it is not there."""
    try:
        async with asyncio.timeout(timeout):
            return SocketWire(*await asyncio.open_unix_connection(str(path)))
    except (OSError, TimeoutError) as error:
        raise LinkClosed(f"no side listens on {path.name}: {type(error).__name__}") from None


async def relay(one: Wire, other: Wire) -> None:
    """Carries frames both ways until either end closes, then closes both."""

    async def pump(source: Wire, target: Wire) -> None:
        while True:
            await target.write(await source.read())

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(one, other))
            group.create_task(pump(other, one))
    except* LinkClosed:
        pass
    finally:
        await one.close()
        await other.close()
