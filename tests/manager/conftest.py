from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import Engine
from yarl import URL

from bench.servers import Mariadb
from otter import settings as s
from otter.manager.api.problem import Problem
from otter.manager.api.route import Route
from otter.manager.api.web import ROUTES, web_app
from otter.manager.desk import Desk
from otter.manager.store.engine import migrate, open_engine, url_of
from otter.settings import Settings


def make_settings(home: Path, **environ: str) -> Settings:
    return s.load("manager", home, {name: str(value) for name, value in environ.items()})


@pytest.fixture(params=["sqlite", "mariadb"])
def store_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of an empty store, once on each kind of database."""
    if request.param == "sqlite":
        yield make_settings(tmp_path)
        return
    server: Mariadb = request.getfixturevalue("mariadb")
    name = f"manager_{uuid.uuid4().hex[:8]}"
    server.run(f"CREATE DATABASE {name} CHARACTER SET latin1")  # the tables must not depend on it
    yield make_settings(
        tmp_path,
        OTTER_DATABASE_URL=f"jdbc:mysql://127.0.0.1:{server.port}/{name}?useUnicode=true",
        OTTER_DATABASE_USERNAME="otter",
        OTTER_DATABASE_PASSWORD="otter",
    )
    server.run(f"DROP DATABASE {name}")


@pytest.fixture
def engine(store_settings: Settings) -> Iterator[Engine]:
    engine = open_engine(url_of(store_settings))
    migrate(engine)
    yield engine
    engine.dispose()


class Browser:
    """The API as a logged-in console or as the holder of a token sees it. Every answer is checked against the type that
    its route declares."""

    def __init__(self, client: TestClient, headers: dict[str, str]) -> None:
        self.client = client
        self.headers = headers

    async def call(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        data = None if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        url = URL(f"/api/v1{path}", encoded=True)
        headers = {**self.headers, "Content-Type": "application/json"}
        async with self.client.request(method, url, data=data, headers=headers) as response:
            raw = await response.read()
            assert response.status == status, (method, path, response.status, raw)
            if status >= 400:
                assert response.content_type == "application/problem+json"
                return msgspec.json.decode(raw, type=Problem)
            route = _route_of(method, path)
            return msgspec.json.decode(raw, type=route.answer) if route.answer else None

    async def get(self, path: str, status: int = 200) -> Any:
        return await self.call("GET", path, None, status)

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return await self.call("POST", path, body, status)


def _route_of(method: str, path: str) -> Route:
    plain = path.partition("?")[0]
    for route in ROUTES:
        pattern = re.sub(r"\{\w+\}", "[^/]+", route.path.replace("{name:.+}", ".+"))
        if route.method == method and re.fullmatch(pattern, plain):
            return route
    raise AssertionError(f"no route for {method} {path}")


KEY = bytes(range(32))
PASSWORD = "the first password"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A manager without its ports, over SQLite."""
    engine = open_engine(url_of(make_settings(tmp_path)))
    migrate(engine)
    async with Desk(engine, KEY, session_timeout=10.0, zookeeper_deadline=0.2).open() as desk:
        yield desk
    engine.dispose()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(web_app(desk))) as client:
        yield client
        await desk.close_answers()


@pytest.fixture
async def api(desk: Desk, client: TestClient) -> Browser:
    """By token."""
    desk.accounts.create("admin", PASSWORD, must_change=False)
    return Browser(client, {"Authorization": f"Bearer {desk.accounts.create_token('admin', 'test')}"})
