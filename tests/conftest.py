"""Real servers as fixtures, shared by the whole session; each test uses databases and chroots of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.servers import Mariadb, Zookeeper


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def mariadb(servers_folder: Path) -> Iterator[Mariadb]:
    """A source (binlog as doctor wants it), server id 1."""
    with Mariadb(servers_folder / "mariadb", server_id=1) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb2(servers_folder: Path) -> Iterator[Mariadb]:
    """A target, server id 2, its own binlog on."""
    with Mariadb(servers_folder / "mariadb2", server_id=2) as server:
        yield server


@pytest.fixture(scope="session")
def zookeeper(servers_folder: Path) -> Iterator[Zookeeper]:
    with Zookeeper(servers_folder / "zookeeper") as server:
        yield server
