"""One cluster for all whole-system tests; each test has a schema and a channel of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from bench.servers import Mariadb, Zookeeper

from . import bank
from .cluster import Channel, Cluster, Line, channel_of, schema_on


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, mariadb: Mariadb, mariadb2: Mariadb) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with Zookeeper(folder / "zookeeper") as zookeeper:  # its own: other tests' managers gave out the same ids
        made = Cluster(folder, mariadb, mariadb2, zookeeper)
        try:
            made.open()
            yield made
        finally:
            made.stop()


@pytest.fixture
def schema(cluster: Cluster) -> Iterator[str]:
    """A schema on both servers."""
    with schema_on(cluster.hangzhou, cluster.us_west) as name:
        yield name


@dataclass
class Bank:
    """A started channel whose tables are a bank's: a writer on the source, a reader on the target."""

    channel: Channel
    writer: bank.Writer
    reader: bank.Reader

    def settle(self) -> None:
        """The writer ends; everything arrives, once, and the books were right all the while."""
        self.writer.stop()
        self.channel.arrived()


@pytest.fixture
def open_bank(cluster: Cluster, schema: str) -> Iterator[Any]:
    """``open_bank(pad=0, pause=0.01, **pipeline)`` opens the bank and its channel."""
    with _Opened(cluster, schema) as opened:
        yield opened


class _Opened:
    def __init__(self, cluster: Cluster, schema: str) -> None:
        import contextlib

        self._cluster, self._schema = cluster, schema
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def __call__(self, *, pad: int = 0, pause: float = 0.01, **pipeline: Any) -> Bank:
        cluster, schema = self._cluster, self._schema
        cluster.hangzhou.run(*bank.tables(schema))
        cluster.us_west.run(*bank.tables(schema), *bank.tripwire(schema))
        copies = {f"{schema}.{table}": f"{schema}.{table}" for table in bank.TABLES}
        line = Line(cluster.hangzhou, cluster.us_west, copies)
        channel = self._stack.enter_context(channel_of(cluster, [line], schema, **pipeline))
        channel.start()
        cluster.hangzhou.run(*bank.opening(schema))
        reader = self._stack.enter_context(bank.Reader(cluster.us_west, schema))
        writer = self._stack.enter_context(bank.Writer(cluster.hangzhou, schema, pause, pad))
        return Bank(channel, writer, reader)
