"""The live feed: the picture moves, what a user types stays, and a feed that dropped says so and comes back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bench.servers import Zookeeper
from otter.model.config import Channel, DataSource, Document, Node, Pair, Pipeline, ZooKeeperCluster
from otter.model.stats import BatchView, NodeReport, SideReport, StageProgress, State

from .conftest import Manager, Voice
from .pages import TIMEOUT, Console, Watched

SITES = ("hangzhou", "us-west")


def report(
    number: int, state: State = State.RUNNING, words: str = "rows flow", pipes: tuple[str, ...] = ()
) -> NodeReport:
    """What node 1 says with both sides of pipeline 1 on it: batch ``number`` is loaded, ``pipes`` are on their way."""
    now = time.time()
    at = {"at": now}
    flight = tuple(
        BatchView(number=number + i + 1, stage="shipped", pipe=pipe, size=1 << 20, rows=500, nid=1, age=0.2)
        for i, pipe in enumerate(pipes)
    )
    common: dict[str, Any] = {
        "pipeline_id": 1,
        "nid": 1,
        "state": state,
        "words": words,
        "epoch": 3,
        "rss": 90 << 20,
        **at,
    }
    done = StageProgress(position=f"1-1-{number}", number=number, at=now)
    head = StageProgress(position=f"1-1-{number + 9}", number=0, at=now)
    shipped = StageProgress(position=f"1-1-{number + len(pipes)}", number=number + len(pipes), at=now)
    select = SideReport(side="select", pid=41, head=head, selected=shipped, extracted=shipped, shipped=shipped,
                        acked=done, in_flight=flight, batches_file=number, **common)  # fmt: skip
    load = SideReport(side="load", pid=42, loaded=done, delay=0.25, rows=number * 500, rows_per_second=1200.0, **common)
    return NodeReport(nid=1, config_version=1, version="0.1.0", started=now - 60, at=now, sides=(select, load))


@pytest.fixture
def channel(console: Console, manager: Manager, keeper: Zookeeper) -> Console:
    """A started channel ``c`` with pipeline ``p`` and one pair, shown on its page."""
    pipeline = Pipeline(
        name="p", source="hangzhou", target="us-west", select_nodes=("n1",), load_nodes=("n1",),
        pairs=(Pair(source="shop.orders"),),
    )  # fmt: skip
    sources = (DataSource(name=name, host=f"{name}.invalid", username="otter", password="x") for name in SITES)
    document = Document(
        zookeepers=(ZooKeeperCluster(name="zk", servers=(keeper.address,)),),
        nodes=(Node(name="n1", ip="127.0.0.1", zookeeper="zk"),),
        data_sources=tuple(sources),
        channels=(Channel(name="c", pipelines=(pipeline,)),),
    )
    manager.post("apply", document)
    console.go("zookeepers")
    expect(console.page.locator("#main .badge.good")).to_be_visible(timeout=TIMEOUT)  # the manager has connected
    manager.post("channels/c/start")
    console.go("channels", "c")
    return console


def test_batches_are_drawn_where_they_are(channel: Console, voice: Voice) -> None:
    page = channel.page
    voice.says(report(100, pipes=("memory", "inline", "file", "file", "file", "file")))
    expect(page.locator(".picture .block")).to_have_count(5, timeout=TIMEOUT)  # a lane has room for three
    expect(page.locator(".picture .block.file")).to_have_count(3)
    expect(page.locator(".picture .lane.file")).to_contain_text("+1")
    expect(page.locator(".picture .block.memory text")).to_have_text("M 101")  # a letter, not colour alone
    assert channel.stage_number(4) == 100
    expect(page.locator(".picture")).to_have_attribute("aria-label", re.compile("Load #100"))
    expect(page.locator(".tile", has_text="Rows/s")).to_contain_text("1,200")

    page.evaluate("document.querySelector('.picture').dataset.same = 'yes'")
    voice.says(report(103, pipes=("file", "file")))
    expect(page.locator("#main table").first.locator("tbody tr").nth(4)).to_contain_text("#103", timeout=TIMEOUT)
    assert (
        page.locator(".picture").get_attribute("data-same") == "yes"
    )  # the same element moved on; nothing was reloaded

    channel.go("channels", "c", "pipelines", "p")
    expect(page.locator("#main")).to_contain_text("90 MiB")  # the processes with their memory
    expect(channel.row("Transform + Load")).to_contain_text("42")


def test_a_held_up_stage_is_named(channel: Console, voice: Voice) -> None:
    words = "held up by load: lock wait on shop.orders"
    voice.says(report(7, State.HELD_UP, words, ("inline",)))
    page = channel.page
    expect(page.locator(".state-line")).to_contain_text("lock wait on shop.orders", timeout=TIMEOUT)
    expect(page.locator(".station.held")).to_contain_text("Load")
    expect(page.locator(".station.held")).to_contain_text("Held up here")
    expect(page.locator("tr.held")).to_contain_text("Loaded")


def test_typing_survives_the_feed(channel: Console, voice: Voice) -> None:
    page = channel.page
    channel.go("zookeepers", "+new")
    page.locator("[name=name]").fill("half-ty")
    for number in range(3):
        with page.expect_event("console", timeout=TIMEOUT, predicate=lambda message: message.text == "fed"):
            voice.says(report(number))
            page.evaluate(
                "import('./live.js').then(({ live }) => { const before = live.onupdate;"
                " live.onupdate = () => { before(); live.onupdate = before; console.log('fed'); }; })"
            )
    page.keyboard.type("ped")
    expect(page.locator("[name=name]")).to_have_value("half-typed")
    expect(page.locator("[name=name]")).to_be_focused()


def test_a_dropped_feed_says_so_and_comes_back(console: Console, manager: Manager) -> None:
    page = console.page
    expect(page.locator(".feed.fresh")).to_be_visible(timeout=TIMEOUT)
    manager.cut(True)
    expect(page.locator(".feed.stale")).to_contain_text("Last updated", timeout=TIMEOUT)
    manager.cut(False)
    expect(page.locator(".feed.fresh")).to_be_visible(timeout=TIMEOUT)


def test_words_of_others_are_only_text(console: Console) -> None:
    """What users typed is never markup."""
    console.go("channels", "+new")
    console.fill(name="x", description="<img src=x onerror=alert(1)>")
    console.submit()
    expect(console.page.locator(".lead")).to_have_text("<img src=x onerror=alert(1)>", timeout=TIMEOUT)
    expect(console.page.locator("#main img")).to_have_count(0)


PAGES = [
    "channels", "channels/c", "channels/c/pipelines/p", "channels/c/pipelines/p/+edit",
    "channels/c/pipelines/p/pairs/+batch", "nodes", "nodes/n1", "nodes/+new", "zookeepers", "data-sources",
    "data-sources/+new", "tables", "tables/+new", "files/n1", "doctor", "export", "password", "no-such-page",
]  # fmt: skip


@pytest.mark.parametrize("look", [("zh-CN", 360, "light"), ("en-GB", 360, "dark"), ("zh-CN", 1600, "dark")])
@pytest.mark.usefixtures("channel")
def test_every_page_in_both_languages(
    manager: Manager, voice: Voice, open_page: Callable[..., Page], look: tuple[str, int, str]
) -> None:
    page = open_page(*look)
    watched = Watched(page)
    console = Console(page, manager.base)
    console.log_in("admin", "otter swims at night")
    page.locator(".shell").wait_for(timeout=TIMEOUT)
    assert page.locator("html").get_attribute("lang") == look[0].replace("-GB", "")
    for address in PAGES:
        voice.says(report(5, pipes=("file", "inline")))
        console.go(*address.split("/"))
        expect(page.locator("h1")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        unnamed = page.evaluate(
            "[...document.querySelectorAll('input, select, textarea, button')].filter((el) =>"
            " !(el.labels?.length || el.getAttribute('aria-label') || el.textContent.trim())).map((el) => el.outerHTML)"
        )
        assert unnamed == [], address
    assert watched.troubles == []


def test_the_language_is_remembered(console: Console) -> None:
    console.go("nodes")
    expect(console.title()).to_have_text("Nodes")
    console.use_language("zh")
    expect(console.title()).to_have_text("Node管理")
    console.page.reload()
    expect(console.title()).to_have_text("Node管理", timeout=TIMEOUT)


def test_the_keyboard_reaches_everything(console: Console) -> None:
    console.go("channels")
    console.page.reload()
    expect(console.title()).to_be_focused(timeout=TIMEOUT)
    stops = []
    for _ in range(30):  # backwards from the title: the menu, the bar, and first of all the way past them
        console.page.keyboard.press("Shift+Tab")
        stops.append(console.page.evaluate("document.activeElement.className || document.activeElement.textContent"))
        if stops[-1] == "skip":
            break
    assert {"Channels", "Doctor", "skip"} <= set(stops), stops
    console.page.keyboard.press("Enter")
    expect(console.page.locator("#main")).to_be_focused()
