from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bench.servers import Mariadb
from otter import settings as s
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
