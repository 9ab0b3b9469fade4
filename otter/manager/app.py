"""The manager's wiring: opened in order, closed in reverse. Also ``otter manager init``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from aiohttp import web
from sqlalchemy import Engine

from otter.errors import BadConfig, Retryable
from otter.manager.api.web import web_app
from otter.manager.desk import Desk
from otter.manager.rpc import rpc_app
from otter.manager.store.accounts import Accounts
from otter.manager.store.engine import migrate, open_engine, url_of
from otter.rpc import key as cluster_key
from otter.settings import Settings

log = logging.getLogger("otter.manager")
ADMIN = "admin"
#: Seconds that answers under way get to end after the first signal.
GRACE = 5.0


# -- otter manager init -----------------------------------------------------------------------------------------------


def init(settings: Settings, admin_password: str | None = None) -> str | None:
    """Makes what a manager needs and keeps what is there: cluster key, store, user ``admin``, its token in
    ``conf/admin.token``. Returns the random first password when it made one; the first login must change it."""
    cluster_key.create(settings.path("otter.cluster.keyFile"))
    engine = _open_store(settings)
    try:
        accounts = Accounts(engine)
        made = _create_admin(accounts, admin_password)
        token = settings.conf / "admin.token"
        if not _is_good_token(accounts, token):
            _write_secret(token, accounts.create_token(ADMIN, f"cli {settings.home}"[:64]))
    finally:
        engine.dispose()
    return made


def _create_admin(accounts: Accounts, password: str | None) -> str | None:
    if accounts.exists(ADMIN):
        return None
    if password:
        accounts.create(ADMIN, password, must_change=False)
        return None
    made = secrets.token_urlsafe(12)
    accounts.create(ADMIN, made, must_change=True)
    return made


def _is_good_token(accounts: Accounts, file: Path) -> bool:
    return file.exists() and accounts.token(file.read_text("ascii", "replace").strip()) is not None


def _write_secret(file: Path, text: str) -> None:
    """Only its owner may read it, from its first moment on."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text + "\n")


def _open_store(settings: Settings) -> Engine:
    """The store, migrated; raises :class:`BadConfig` when it cannot be reached."""
    url = url_of(settings)
    engine = open_engine(url)
    try:
        migrate(engine)
    except Retryable as error:
        engine.dispose()
        shown = url.render_as_string(hide_password=True)
        hint = f"{error.message}; check otter.database.url, .username and .password, and that the server runs"
        raise BadConfig("otter.database.url", shown, hint) from None
    return engine


# -- otter manager ----------------------------------------------------------------------------------------------------


async def run(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; a second signal stops at once. Raises :class:`BadConfig` when it cannot start."""
    signals = _Signals()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(signals.caught())
        await stack.enter_async_context(served(settings))
        log.info("## the otter server is running now ......")
        await signals.first.wait()
        log.info("## stop the otter server")
    log.info("## the otter server is down.")
    return 0


@contextlib.asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Desk]:
    """The whole manager, listening on both ports."""
    key = cluster_key.load(settings.path("otter.cluster.keyFile"))
    async with contextlib.AsyncExitStack() as stack:
        engine = await asyncio.to_thread(_open_store, settings)
        stack.callback(engine.dispose)
        if not await asyncio.to_thread(Accounts(engine).exists, ADMIN):
            raise BadConfig("user admin", None, "the store has no user yet: run `otter manager init`")
        desk = Desk(
            engine,
            key,
            session_timeout=settings["otter.zookeeper.sessionTimeout"] / 1000,
            pool=settings["otter.communication.pool.size"],
        )
        await stack.enter_async_context(desk.open())
        bind = str(settings["otter.bind"])
        rpc = rpc_app(desk, key, settings["otter.communication.payload"])
        await _listen(stack, rpc, bind, settings, "otter.communication.manager.port")
        await _listen(stack, web_app(desk), bind, settings, "otter.port")
        stack.push_async_callback(desk.close_answers)  # before the sites wait for their answers to end
        yield desk


async def _listen(
    stack: contextlib.AsyncExitStack, app: web.Application, bind: str, settings: Settings, setting: str
) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    port = int(settings[setting])
    try:
        await web.TCPSite(runner, bind, port).start()
    except OSError as error:
        words = error.strerror or str(error)
        hint = f"cannot listen on {bind}:{port}: {words}; end the program that listens there, or choose another port"
        raise BadConfig(setting, port, hint) from None
    log.info("%s: listening on %s:%d", setting, bind, port)


class _Signals:
    """The first SIGTERM or SIGINT ends the work in order, the second one at once."""

    def __init__(self) -> None:
        self.first = asyncio.Event()

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._take)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _take(self) -> None:
        if self.first.is_set():
            os._exit(130)
        self.first.set()
