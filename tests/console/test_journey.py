"""What a newcomer does in the console, on the real manager, ZooKeeper and MariaDB, behind a path prefix."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from bench.servers import Mariadb, Zookeeper

from .conftest import Manager
from .pages import TIMEOUT, Console, Watched


def test_from_first_login_to_a_started_channel(
    console: Console, keeper: Zookeeper, mariadb: Mariadb, mariadb2: Mariadb
) -> None:
    page = console.page
    console.go("channels")
    expect(page.locator(".guide li")).to_have_count(8)
    expect(page.locator(".guide li.next a")).to_have_attribute("href", "#/zookeepers/+new")

    console.add_zookeeper("zk", keeper.address)
    expect(console.row(keeper.address).locator(".badge.good")).to_be_visible(timeout=TIMEOUT)

    assert console.add_node("n1", "127.0.0.1", "zk") == 1
    expect(page.locator("#main")).to_contain_text("otter node init /srv/otter/node1 --nid 1 --manager 127.0.0.1:1099")
    expect(page.locator(".title-row .badge.bad")).to_be_visible(timeout=TIMEOUT)  # not started
    assert console.add_node("n2", "127.0.0.1", "zk", 2089, 9091) == 2

    console.add_data_source("hangzhou", "127.0.0.1", mariadb.port, "otter", "otter")
    console.add_data_source("us-west", "127.0.0.1", mariadb2.port, "otter", "otter")
    console.go("data-sources", "hangzhou", "+edit")
    checks = console.test_connection()  # with the stored password: the form has none
    expect(checks.first.locator(".badge.good")).to_be_visible()
    expect(page.locator("#main .badge.bad")).to_have_count(0)
    console.fill(port=1)  # not saved, only tested
    page.locator("[data-do=test]").click()
    expect(page.locator("#main table .badge.bad")).to_be_visible(timeout=TIMEOUT)
    expect(page.locator("#main table .hint")).not_to_be_empty()

    console.add_channel("shop")
    console.add_pipeline("shop", "hz-us", ("hangzhou", "us-west"), ["n1"], ["n1", "n2"])
    console.add_pairs("shop", "hz-us", "shop,orders", "shop,customers", "shop,products,retail,goods")
    expect(page.locator("#main")).to_contain_text("retail.goods")
    console.add_pair("shop", "hz-us", "shop.order_lines")

    console.command("shop", "start")
    expect(console.states()).to_have_text(re.compile("Starting|Held up"), timeout=TIMEOUT)
    expect(page.locator(".picture .held-mark")).to_be_visible(timeout=TIMEOUT)
    console.command("shop", "pause")
    console.command("shop", "stop")
    expect(console.states()).to_have_text(re.compile("Stopped"), timeout=TIMEOUT)


def test_problems_stand_beside_their_field(console: Console, keeper: Zookeeper) -> None:
    console.add_zookeeper("zk", keeper.address)
    console.go("zookeepers", "+new")
    console.fill(name="zk", servers=keeper.address)
    console.submit()
    expect(console.page.locator("form.form")).to_contain_text("zk", timeout=TIMEOUT)
    expect(console.page.locator("[role=alert], .field-error")).to_be_visible(timeout=TIMEOUT)

    console.go("nodes", "+new")
    console.fill(name="n1", ip="127.0.0.1", zookeeper="zk", port=99999)
    console.submit()
    expect(console.error_at("port")).to_be_visible(timeout=TIMEOUT)
    expect(console.page.locator("[name=port]")).to_be_focused()
    expect(console.page.locator("[name=port]")).to_have_value("99999")  # what was typed stays
    described = console.page.locator("[name=port]").get_attribute("aria-describedby") or ""
    assert "field-port-error" in described


def test_deleting_asks_and_tells_the_command(console: Console, keeper: Zookeeper) -> None:
    console.add_zookeeper("zk", keeper.address)
    console.add_node("n1", "127.0.0.1", "zk")
    page = console.page
    console.go("zookeepers")
    page.locator("[data-do=delete]").click()
    expect(page.locator("dialog")).to_contain_text("curl -X DELETE")
    page.locator("dialog button[type=submit]").click()
    expect(page.locator("dialog .problem")).to_contain_text(
        "n1", timeout=TIMEOUT
    )  # it is in use: the dialog says by whom
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)

    console.go("nodes")
    page.locator("[data-do=delete]").click()
    console.confirm()
    expect(page.locator("#main tbody tr")).to_have_count(0, timeout=TIMEOUT)


def test_login_refuses_and_password_is_forced(manager: Manager, open_page: Callable[..., Page]) -> None:
    page = open_page(locale="zh-CN")
    watched = Watched(page)
    console = Console(page, manager.base)
    console.log_in("admin", "not the password")
    expect(page.locator("form .problem")).to_contain_text("用户名或密码错误", timeout=TIMEOUT)
    console.log_in("admin", manager.password)
    page.locator("#field-again").wait_for(timeout=TIMEOUT)
    page.goto(f"{manager.base}#/nodes")  # no way around it
    expect(page.locator("#field-again")).to_be_visible(timeout=TIMEOUT)
    console.fill(old=manager.password, new="otter swims at night", again="otter swims at noon")
    console.submit()
    expect(console.error_at("again")).to_be_visible(timeout=TIMEOUT)
    console.set_first_password(manager.password, "otter swims at night")
    page.locator(".top button", has_text="退出").click()
    expect(page.locator("#field-username")).to_be_visible(timeout=TIMEOUT)
    assert watched.troubles == []


def test_a_batch_of_pairs_names_the_bad_line(console: Console, keeper: Zookeeper) -> None:
    console.add_zookeeper("zk", keeper.address)
    console.add_node("n1", "127.0.0.1", "zk")
    for name in ("a", "b"):
        console.add_data_source(name, f"{name}.invalid", 3306, "otter", "x")
    console.add_channel("c")
    console.add_pipeline("c", "p", ("a", "b"), ["n1"], ["n1"])
    console.go("channels", "c", "pipelines", "p", "pairs", "+batch")
    console.fill(lines="shop,orders\nnonsense")
    console.submit()
    expect(console.error_at("lines")).to_contain_text("nonsense", timeout=TIMEOUT)
    console.fill(lines="shop,orders\nshop,orders\nshop,items")
    console.submit()
    expect(console.page.locator("section[role=alert] li")).to_have_count(1, timeout=TIMEOUT)
    console.go("channels", "c", "pipelines", "p")
    expect(console.row("shop.")).to_have_count(2, timeout=TIMEOUT)
