"""As a new user would: everything through the console's pages, until a row arrives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from bench.servers import free_port
from tests.console.conftest import CHROMIUM, FLAGS
from tests.console.pages import Console, Watched

from .cluster import Cluster, until


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@pytest.mark.timeout(300)
def test_from_login_to_a_row_that_arrives(cluster: Cluster, schema: str, browser: Browser) -> None:
    """A cluster, a node and a channel made by hand; the node is started with the number that it was given."""
    table = f"CREATE TABLE {schema}.t (id INT PRIMARY KEY, name VARCHAR(40))"
    cluster.hangzhou.run(table)
    cluster.us_west.run(table)
    page = browser.new_page()
    watched = Watched(page)
    console = Console(page, cluster.url)
    console.log_in("admin", cluster.password)
    console.add_zookeeper("zk-by-hand", cluster.zookeeper.address)
    nid = console.add_node("by-hand", "127.0.0.1", "zk-by-hand", free_port(), free_port())
    console.add_data_source("hz-by-hand", "127.0.0.1", cluster.hangzhou.port, "otter", "otter")
    console.go("data-sources", "hz-by-hand", "+edit")
    assert console.test_connection().first.locator(".badge.good").is_visible()
    console.add_data_source("us-by-hand", "127.0.0.1", cluster.us_west.port, "otter", "otter")
    cluster.init_node(int(nid))
    cluster.start_node(int(nid))
    try:
        console.add_channel("by-hand")
        console.add_pipeline("by-hand", "one-way", ("hz-by-hand", "us-by-hand"), ["by-hand"], ["by-hand"])
        console.add_pair("by-hand", "one-way", f"{schema}.t")
        console.command("by-hand", "start")
        until(lambda: _state(cluster) == "running", "the channel made by hand runs")
        cluster.hangzhou.run(f"INSERT INTO {schema}.t VALUES (1, '水獭')")
        until(lambda: cluster.us_west.run(f"SELECT name FROM {schema}.t") == [("水獭",)], "the row arrives")
        console.go("channels", "by-hand")
        page.get_by_text("running").first.wait_for()
        console.command("by-hand", "stop")
        until(lambda: _state(cluster) == "stopped", "the channel made by hand stops")
    finally:
        cluster.nodes.pop(int(nid)).stop()
        page.close()
    assert not watched.troubles


def _state(cluster: Cluster) -> str:
    return next(str(c.pipelines[0].state) for c in cluster.status().channels if c.name == "by-hand" and c.pipelines)
