"""Batch files: what lies in a node's folders, and what is inside one, decoded by the node's own communication port."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from playwright.sync_api import expect

from bench.servers import Zookeeper, free_port
from otter.model.batch import Batch, Change, Column, Kind, Position, Table, Transaction
from otter.node.web import rpc_app
from otter.pipe import file
from otter.pipe.htdocs import Htdocs

from .conftest import Manager
from .pages import TIMEOUT, Console

ROWS = 130
INT = 3  # MySQL's type code
NAME = f"1-1-3-7{file.SUFFIX}"


def batch() -> Batch:
    """One transaction that inserts ROWS rows, and one that updates the first of them."""
    table = Table("shop", "orders", (Column("id", INT, nullable=False), Column("amount", INT)), key=(0,))
    image = b"".join(struct.pack("<Bii", 0, row, row * 10) for row in range(ROWS))
    changed = struct.pack("<Bii", 0, 0, 0) + struct.pack("<Bii", 0, 0, 77777)
    run = (
        Transaction("1-1-8", Position("1-1-8"), 1.7e9, (Change(0, Kind.INSERT, ROWS, image, after=b"\x03"),)),
        Transaction("1-1-9", Position("1-1-9"), 1.7e9, (Change(0, Kind.UPDATE, 1, changed, b"\x03", b"\x03"),)),
    )
    return Batch(1, 1, 3, 7, Position("1-1-7"), Position("1-1-9"), (table,), run)


@pytest.fixture
def node_port(manager: Manager, tmp_path: Path) -> Iterator[int]:
    """The communication port of a node that has one batch file and runs no pipeline."""
    folders = {name: Htdocs(tmp_path / name, name=name) for name in ("htdocs", "download")}
    for folder in folders.values():
        folder.folder.mkdir()
    folders["htdocs"].publish(NAME, file.encode(batch()))
    port = free_port()

    async def serve() -> web.AppRunner:
        app = rpc_app(
            manager.key, cast("Any", None), report=cast("Any", None), folders=folders, sockets=tmp_path, payload=1 << 23
        )
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner

    runner = manager.loop.run(serve())
    yield port
    manager.loop.run(runner.cleanup())


def test_a_click_shows_what_is_inside(console: Console, keeper: Zookeeper, node_port: int) -> None:
    console.add_zookeeper("zk", keeper.address)
    console.add_node("n1", "127.0.0.1", "zk", node_port, free_port())
    console.go("files", "n1")
    page = console.page
    page.get_by_role("link", name=NAME).click()
    expect(console.title()).to_have_text(NAME, timeout=TIMEOUT)
    expect(page.locator("#main")).to_contain_text("1-1-9")
    expect(console.row("shop.orders").first).to_contain_text("id*")
    rows = page.locator("#main table").last.locator("tbody tr")
    expect(rows).to_have_count(100)
    expect(rows.nth(42)).to_contain_text("id=42, amount=420")

    page.locator(".pager a").click()
    expect(rows).to_have_count(ROWS + 1 - 100, timeout=TIMEOUT)
    expect(rows.last.locator(".differs").last).to_have_text("amount=77777")
    assert "offset=100" in page.url  # a page of rows has an address that can be sent to a colleague


def test_a_node_that_does_not_answer_leaves_the_page_usable(console: Console, keeper: Zookeeper) -> None:
    console.add_zookeeper("zk", keeper.address)
    console.add_node("n1", "127.0.0.1", "zk", free_port(), free_port())
    console.go("files", "n1")
    expect(console.page.locator("#main .problem")).to_be_visible(timeout=TIMEOUT)
    expect(console.page.locator(".tabs a")).to_have_text("n1")
