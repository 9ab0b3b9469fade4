"""The calling side of RPC: one :class:`Peer` for each manager or node we talk to."""

from __future__ import annotations

from typing import Any, TypeVar

import aiohttp
import msgspec

from otter.errors import OtterError, Retryable
from otter.rpc.auth import TIME_HEADER, Signer

T = TypeVar("T")


class Refused(OtterError):
    """The peer answered with a problem; ``status`` is its HTTP status."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status


class Peer:
    """A manager or node at ``base_url`` (``http://host:port``). Connections are kept; close it when done."""

    def __init__(self, base_url: str, key: bytes, pool: int = 10) -> None:
        self.base_url = base_url.rstrip("/")
        self._signer = Signer(key)
        self._pool = pool
        self._session: aiohttp.ClientSession | None = None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._pool), timeout=aiohttp.ClientTimeout(total=None)
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, method: str, path: str, body: Any = None, *, timeout: float = 10.0) -> tuple[int, bytes]:
        """Status and body of a 2xx or 304; raises :class:`Refused`, or :class:`Retryable` when nobody answers."""
        raw = b"" if body is None else msgspec.json.encode(body)
        for attempt in (1, 2):
            try:
                async with self._http().request(
                    method, self.base_url + path, data=raw or None,
                    headers={**self._signer.headers(method, path, raw), "Content-Type": "application/json"},
                    timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, 5.0)),
                ) as response:  # fmt: skip
                    answer = await response.read()
                    if (
                        response.status == 401
                        and attempt == 1
                        and self._signer.learn(response.headers.get(TIME_HEADER))
                    ):
                        continue
                    if response.status >= 400:
                        raise _refused(response.status, answer)
                    return response.status, answer
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                words = str(error) or type(error).__name__
                raise Retryable(f"{self.base_url} does not answer: {words}") from None
        raise Retryable(f"{self.base_url} does not accept our clock")

    async def get(self, path: str, kind: type[T], *, timeout: float = 10.0) -> T:
        _, body = await self.call("GET", path, timeout=timeout)
        return msgspec.json.decode(body, type=kind)

    async def post(self, path: str, body: Any, kind: type[T], *, timeout: float = 10.0) -> T:
        _, answer = await self.call("POST", path, body, timeout=timeout)
        return msgspec.json.decode(answer, type=kind)

    async def websocket(self, path: str, *, max_size: int, timeout: float = 10.0) -> aiohttp.ClientWebSocketResponse:
        """An authenticated WebSocket; pings every 5 s, so that a dead way is noticed and a NAT keeps it open."""
        for attempt in (1, 2):
            try:
                return await self._http().ws_connect(
                    self.base_url + path, headers=self._signer.headers("GET", path, b""), heartbeat=5.0,
                    max_msg_size=max_size, compress=0, timeout=aiohttp.ClientWSTimeout(ws_close=timeout),
                )  # fmt: skip
            except aiohttp.WSServerHandshakeError as error:
                told = error.headers.get(TIME_HEADER) if error.headers else None
                if error.status == 401 and attempt == 1 and self._signer.learn(told):
                    continue
                raise Retryable(f"{self.base_url}{path} refused the link: HTTP {error.status}") from None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Retryable(f"{self.base_url} does not answer: {str(error) or type(error).__name__}") from None
        raise Retryable(f"{self.base_url} does not accept our clock")


def _refused(status: int, body: bytes) -> Refused:
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return Refused(status, f"HTTP {status}")
    return Refused(
        status, str(problem.get("detail") or problem.get("title") or f"HTTP {status}"), str(problem.get("hint", ""))
    )
