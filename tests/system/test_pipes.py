"""How batches travel: memory, inline, file; by size, or as it is fixed; over the address that the node names."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cluster import Channel, Cluster, Line, channel_of, until
from .proxy import Proxy
from .test_rows import fill, make


def counts(channel: Channel) -> dict[str, int]:
    view = channel.view
    return {"memory": view.batches_memory, "inline": view.batches_inline, "file": view.batches_file}


@pytest.mark.parametrize(
    ("kind", "load", "used"),
    [
        ("AUTOMATIC", "n3", ("inline", "file")),
        ("AUTOMATIC", "n1", ("memory", "memory")),
        ("RPC", "n3", ("inline", "inline")),
        ("HTTP", "n3", ("file", "file")),
        ("MEMORY", "n1", ("memory", "memory")),
    ],
)
def test_pipe_is_chosen(cluster: Cluster, schema: str, kind: str, load: str, used: tuple[str, str]) -> None:
    for server in (cluster.hangzhou, cluster.us_west):
        server.run(*make(schema, "orders"))
    line = Line(cluster.hangzhou, cluster.us_west, {f"{schema}.orders": f"{schema}.orders"})
    with channel_of(cluster, [line], schema, loadNodes=[load], parameters={"pipeChooseType": kind}) as channel:
        channel.start()
        before = counts(channel)
        cluster.hangzhou.run(f"INSERT INTO {schema}.orders VALUES (1000, 'small', NULL)")
        channel.wait()
        assert_used(channel, before, used[0])
        before = counts(channel)
        fill(cluster, f"{schema}.orders", rows=30, size=20_000)
        channel.arrived()
        assert_used(channel, before, used[1])
        until_empty(cluster, [1, int(load[1:])])


def assert_used(channel: Channel, before: dict[str, int], kind: str) -> None:
    """Since ``before``, batches went that way and no other; the report may be a second old."""
    until(lambda: counts(channel) != before, "a batch is reported")
    after = counts(channel)
    assert {name for name in after if after[name] > before[name]} == {kind}


def until_empty(cluster: Cluster, nids: list[int]) -> None:
    """A batch's files go when it is acknowledged."""

    def files() -> list[Path]:
        return [path for nid in nids for folder in ("htdocs", "download")
                for path in (cluster.home_of(nid) / folder).iterdir()]  # fmt: skip

    until(lambda: not files(), "htdocs/ and download/ are empty again")


def test_external_ip_is_where_links_and_downloads_go(cluster: Cluster, schema: str) -> None:
    for server in (cluster.hangzhou, cluster.us_west):
        server.run(*make(schema, "orders"))
    line = Line(cluster.hangzhou, cluster.us_west, {f"{schema}.orders": f"{schema}.orders"})
    parameters = {"useExternalIp": True, "pipeChooseType": "HTTP"}
    with Proxy.before(cluster, 1) as (link, download):
        with channel_of(cluster, [line], schema, parameters=parameters) as channel:
            channel.start()
            fill(cluster, f"{schema}.orders", rows=20, size=50_000)
            channel.arrived()
        assert link.carried and download.carried > 10_000
