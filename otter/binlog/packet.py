"""MySQL packets out of a socket: big reads, one slice a packet. Nothing here knows what an event is."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

from otter.errors import Retryable

CHUNK = 256 * 1024
FULL = 0xFFFFFF  # a packet of this length goes on in the next one
OK, END, ERROR = 0x00, 0xFE, 0xFF
_LENGTH = struct.Struct("<I").unpack_from


class ServerError(Exception):
    """An error packet: the server's code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class Packets:
    """The events of a dump connection. ``received`` and ``received_wall`` are the monotonic and the wall-clock time of
    the last bytes; the socket's own time-out is the longest silence that is borne."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""
        self._at = 0
        self.received = time.monotonic()
        self.received_wall = time.time()

    def __iter__(self) -> Iterator[bytes]:
        """Yields events (what follows the OK byte of a packet); ends when the server closes the dump in order.

        Retryable when the connection breaks or is silent, ServerError for an error packet."""
        while True:
            buffer, at = self._buffer, self._at
            size = len(buffer)
            while at + 4 <= size:
                length = _LENGTH(buffer, at)[0] & FULL
                end = at + 4 + length
                if end > size or length == FULL:
                    break
                self._at = end
                if buffer[at + 4] and self._is_end(buffer[at + 4 : end]):
                    return
                yield buffer[at + 5 : end]
                at = end
            self._at = at
            if at + 4 <= size and (_LENGTH(buffer, at)[0] & FULL) >= CHUNK:
                packet = self._large()
                if packet[:1] != b"\0" and self._is_end(packet):
                    return
                yield packet[1:]
            else:
                self._buffer, self._at = buffer[at:] + self._receive(), 0

    def _large(self) -> bytes:
        """A packet that is larger than a chunk, in pieces of 16 MiB if need be."""
        pieces = []
        while True:
            length = _LENGTH(self._take(4))[0] & FULL
            pieces.append(self._take(length))
            if length < FULL:
                return b"".join(pieces)

    def _take(self, size: int) -> bytes:
        have = len(self._buffer) - self._at
        pieces = [self._buffer[self._at : self._at + size]]
        if have >= size:
            self._at += size
            return pieces[0]
        while have < size:
            pieces.append(self._receive())
            have += len(pieces[-1])
        extra = have - size
        last = pieces[-1]
        self._buffer, self._at = last, len(last) - extra
        pieces[-1] = last[: len(last) - extra]
        return b"".join(pieces)

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(CHUNK)
        except TimeoutError:
            raise Retryable(f"source silent: no event for {self._socket.gettimeout():.0f} s") from None
        except OSError as error:
            raise Retryable(f"the connection to the source broke: {error.strerror or error}") from None
        if not data:
            raise Retryable("the source closed the binlog connection")
        self.received = time.monotonic()
        self.received_wall = time.time()
        return data

    @staticmethod
    def _is_end(packet: bytes) -> bool:
        """True for an end-of-file packet; raises for an error packet and for anything else."""
        if packet[:1] == b"\xfe" and len(packet) < 9:
            return True
        if packet[:1] != b"\xff":
            raise Retryable("the source sent a packet that is no event", "is there a proxy in between?")
        code = int.from_bytes(packet[1:3], "little")
        text = packet[9:] if packet[3:4] == b"#" else packet[3:]
        raise ServerError(code, text.decode("utf-8", "replace"))
