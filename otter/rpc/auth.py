"""Who calls? HMAC-SHA256 with the cluster key over method, path with query, time, nonce and body.

The clocks of sites differ, so a caller whose time is off is told ours (signed) and tries again with the offset; a nonce
counts once within the window.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from otter.rpc.key import derive

#: Seconds a signed request is good for.
WINDOW = 120.0
HEADER = "X-Otter-Auth"
TIME_HEADER = "X-Otter-Time"


class Signer:
    """Signs requests; learns the other side's clock from a refusal."""

    def __init__(self, key: bytes) -> None:
        self._key = derive(key, "rpc")
        self.offset = 0.0

    def headers(self, method: str, path: str, body: bytes) -> dict[str, str]:
        at = f"{time.time() + self.offset:.3f}"
        nonce = secrets.token_hex(12)
        return {HEADER: f"{at} {nonce} {_mac(self._key, method, path, at, nonce, body)}"}

    def learn(self, header: str | None) -> bool:
        """Takes the time of a refusal (``TIME_HEADER``); False when it is not signed with our key."""
        at, _, mac = (header or "").partition(" ")
        if not mac or not hmac.compare_digest(mac, _mac(self._key, "TIME", "", at, "", b"")):
            return False
        self.offset = float(at) - time.time()
        return True


class Verifier:
    """Checks requests; keeps the nonces of the window."""

    def __init__(self, key: bytes) -> None:
        self._key = derive(key, "rpc")
        self._seen: dict[str, float] = {}

    def problem(self, method: str, path: str, header: str | None, body: bytes) -> str:
        """Empty when the request is from somebody who has the key, else what is wrong."""
        parts = (header or "").split(" ")
        if len(parts) != 3:
            return "not signed with the cluster key"
        at, nonce, mac = parts
        if not hmac.compare_digest(mac, _mac(self._key, method, path, at, nonce, body)):
            return "signed with another cluster key"
        now = time.time()
        if abs(float(at) - now) > WINDOW:
            return "clock differs"
        if nonce in self._seen:
            return "sent twice"
        self._remember(nonce, now)
        return ""

    def _remember(self, nonce: str, now: float) -> None:
        self._seen[nonce] = now
        if len(self._seen) > 4096:
            self._seen = {seen: at for seen, at in self._seen.items() if now - at < 2 * WINDOW}

    def time_header(self) -> str:
        at = f"{time.time():.3f}"
        return f"{at} {_mac(self._key, 'TIME', '', at, '', b'')}"

    def middleware(self) -> Middleware:
        """aiohttp middleware: 401 for anybody without the key."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            body = await request.read() if request.can_read_body else b""
            why = self.problem(request.method, request.raw_path, request.headers.get(HEADER), body)
            if why:
                return web.json_response(
                    {"status": 401, "title": "not authenticated", "detail": f"the request is {why}",
                     "hint": "both sides need the same conf/cluster.key"},
                    status=401, headers={TIME_HEADER: self.time_header()}, content_type="application/problem+json",
                )  # fmt: skip
            return await handler(request)

        return check


def _mac(key: bytes, *parts: str | bytes) -> str:
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        mac.update(len(raw).to_bytes(8, "big") + raw)
    return mac.hexdigest()
