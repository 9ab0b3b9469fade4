"""Who is calling: the session cookie with its CSRF header, or an API token. And how often a login may be tried."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time

from aiohttp import web

from otter.manager.refusal import Forbidden, NotLoggedIn, TooMany
from otter.manager.store.accounts import Accounts, Caller

COOKIE = "otter_session"
CSRF_HEADER = "X-Otter-Csrf"
#: Failed logins within WINDOW seconds: of one user from one address, and of one address.
TRIES_OF_USER, TRIES_OF_ADDRESS, WINDOW = 5, 30, 300.0


class Guard:
    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.attempts = Attempts()
        #: argon2 takes 64 MiB and a core: not many at a time.
        self.hashing = asyncio.Semaphore(2)

    async def caller(self, request: web.Request) -> Caller:
        """Who calls; raises :class:`NotLoggedIn`, or :class:`Forbidden` for a write without the CSRF header."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            found = await asyncio.to_thread(self._accounts.token, token.strip())
            if found is None:
                raise NotLoggedIn("this API token is not known", "see conf/admin.token in the manager's home")
            return found
        session_id = request.cookies.get(COOKIE, "")
        found = await asyncio.to_thread(self._accounts.session, session_id) if session_id else None
        if found is None:
            raise NotLoggedIn("nobody is logged in", "log in, or send Authorization: Bearer TOKEN")
        if request.method not in ("GET", "HEAD"):
            _check_csrf(request, session_id)
        return found

    def refuse_newcomer(self, who: Caller) -> None:
        if who.must_change:
            raise Forbidden("the first password must be changed before anything else", "POST /api/v1/password")


def csrf_of(session_id: str) -> str:
    """Follows from the session id, which no script can read."""
    return hashlib.sha256(f"csrf {session_id}".encode()).hexdigest()


def _check_csrf(request: web.Request, session_id: str) -> None:
    given = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), csrf_of(session_id).encode()):
        raise Forbidden(f"header {CSRF_HEADER} is missing or wrong", "take its value from GET /api/v1/session")


class Attempts:
    """Failed logins, by (address, user) and by address."""

    def __init__(self) -> None:
        self._failed: dict[tuple[str, str], list[float]] = {}

    def begin(self, address: str, user: str) -> None:
        """Counts the try as failed until ``succeeded`` says otherwise; raises :class:`TooMany`."""
        now = time.monotonic()
        for key, limit in (((address, user), TRIES_OF_USER), ((address, ""), TRIES_OF_ADDRESS)):
            recent = [at for at in self._failed.get(key, ()) if now - at < WINDOW]
            if len(recent) >= limit:
                raise TooMany("too many failed logins", max(1.0, WINDOW - (now - recent[-limit])))

        for key in ((address, user), (address, "")):
            self._failed.setdefault(key, []).append(now)
        if len(self._failed) > 10_000:
            self._failed = {key: times for key, times in self._failed.items() if times and now - times[-1] < WINDOW}

    def succeeded(self, address: str, user: str) -> None:
        self._failed.pop((address, user), None)
        self._failed[address, ""] = self._failed.get((address, ""), [])[:-1]
