"""The demo's own parts: is its comparator able to see a difference, does its shop write what it says?"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.demo import shop
from bench.demo.compare import compare
from bench.demo.workload import Session
from bench.demo.world import end_leftovers
from bench.servers import Mariadb

from .conftest import ROOT


@pytest.fixture(scope="module")
def filled(mariadb: Mariadb) -> Iterator[Mariadb]:
    """A shop with 500 customers, 100 products and a hundred transactions of every kind."""
    mariadb.run("DROP DATABASE IF EXISTS shop", "DROP DATABASE IF EXISTS shop_report", *shop.shop(), *shop.report())
    with mariadb.connect("shop") as connection:
        session = Session(connection, random.Random(1))
        assert session.commit(session.new_customers)
        assert session.commit(session.import_products)
        for _ in range(100):
            session.commit(session.choose())
    mariadb.run("INSERT INTO shop_report.orders SELECT * FROM shop.orders")
    yield mariadb
    mariadb.run("DROP DATABASE shop", "DROP DATABASE shop_report")


def test_every_table_is_used(filled: Mariadb) -> None:
    for table in shop.TABLES:
        assert filled.run(f"SELECT COUNT(*) FROM shop.{table}")[0][0] > 10


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM {} ORDER BY id LIMIT 1",
        "UPDATE {} SET total = total + 0.01 ORDER BY id DESC LIMIT 1",
        "UPDATE {} SET placed = placed + INTERVAL 1 MICROSECOND ORDER BY id LIMIT 1",
        "UPDATE {} SET remark = NULL ORDER BY remark IS NULL, id LIMIT 1",
        "UPDATE {} SET remark = CONCAT(remark, ' ') WHERE remark <> '' ORDER BY id LIMIT 1",
        "UPDATE {} SET address = REPLACE(address, ':', ': ') ORDER BY id LIMIT 1",
        "UPDATE {} SET id = 999999 ORDER BY id LIMIT 1",
    ],
)
def test_the_comparator_sees_every_difference(filled: Mariadb, change: str) -> None:
    table, copy = "shop.orders", "shop_report.orders"
    with filled.connect() as one, filled.connect() as other:
        assert compare(one, table, other, copy).equal
        before = filled.run(f"SELECT * FROM {copy}")
        try:
            filled.run(change.format(copy))
            found = compare(one, table, other, copy)
            assert not found.equal
            assert found.source.checksum != found.target.checksum
            assert 1 <= len(found.different) <= 2
            assert "DIFFERENT" in found.line()
        finally:
            assert before
            filled.run(f"DELETE FROM {copy}", f"INSERT INTO {copy} SELECT * FROM {table}")


@pytest.mark.timeout(240)
def test_the_demo_once() -> None:
    """All of it, as a newcomer types it: rows arrive, every pipe is used, nothing is left behind."""
    done = _demo("--once", "--seconds", "6")
    out, err = done.communicate(timeout=200)
    assert done.returncode == 0, out + err
    assert out.count("  equal") == len(shop.TABLES) + 1
    assert "all tables are equal" in out
    assert "delay p50" in out
    assert not (ROOT / ".demo").exists()


@pytest.mark.timeout(240)
def test_ctrl_c_leaves_nothing_behind() -> None:
    done = _demo()
    assert done.stderr is not None
    for line in done.stderr:
        if "starting the channels" in line:
            break
    done.send_signal(signal.SIGINT)
    done.communicate(timeout=120)
    assert done.returncode == 0
    assert not (ROOT / ".demo").exists()
    left = subprocess.run(["pgrep", "-af", str(ROOT / ".demo")], capture_output=True, text=True, check=False).stdout
    assert left == ""


def test_what_a_killed_demo_left_is_ended(tmp_path: Path) -> None:
    """By the files it names, whoever its parent is; others live."""
    folder, other = tmp_path / "demo", tmp_path / "demo2"
    command = [sys.executable, "-c", "import sys, time; print(1, flush=True); time.sleep(100)"]
    left, stranger = (
        subprocess.Popen([*command, f"--datadir={at}/data"], stdout=subprocess.PIPE) for at in (folder, other)
    )
    try:
        for program in (left, stranger):
            assert program.stdout is not None
            program.stdout.readline()
        assert end_leftovers(folder) == [left.pid]
        assert left.wait(20) == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        for program in (left, stranger):
            program.kill()
            program.communicate()


def _demo(*arguments: str) -> subprocess.Popen[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OTTER_")}
    return subprocess.Popen(
        [str(ROOT / "bin" / "demo"), *arguments], cwd="/", env=kept, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
