"""The manager as a process: init, both ports, signals, and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from bench.servers import Zookeeper, free_port
from otter.errors import BadConfig
from otter.manager import catalog as c
from otter.manager.app import init, run, served
from otter.manager.store.accounts import Accounts
from otter.manager.store.engine import open_engine, url_of
from otter.model.config import ZooKeeperCluster
from otter.settings import Settings
from tests.manager.conftest import make_settings

READY = "## the otter server is running now ......"
PROGRAM = """
import asyncio, logging, sys
from pathlib import Path
from otter import settings
from otter.manager import app
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
sys.exit(asyncio.run(app.run(settings.load("manager", Path(sys.argv[1])))))
"""


def ported(home: Path, **environ: str) -> Settings:
    return make_settings(
        home,
        OTTER_PORT=str(free_port()),
        OTTER_COMMUNICATION_MANAGER_PORT=str(free_port()),
        OTTER_BIND="127.0.0.1",
        **environ,
    )


def test_init_makes_what_is_missing_and_keeps_the_rest(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    password = init(settings)
    files = [tmp_path / "conf" / name for name in ("cluster.key", "admin.token", "manager.db")]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3
    before = [file.read_text() for file in files[:2]]
    assert init(settings, "another password") is None
    assert [file.read_text() for file in files[:2]] == before
    engine = open_engine(url_of(settings))
    accounts = Accounts(engine)
    assert password
    assert accounts.is_right("admin", password)
    assert not accounts.is_right("admin", "another password")
    caller = accounts.token(before[1].strip())
    assert caller
    assert caller.user == "admin"
    session = accounts.session(accounts.open_session("admin"))
    assert session
    assert session.must_change
    engine.dispose()


def test_a_password_that_was_given_need_not_be_changed(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    assert init(settings, "given by hand") is None
    engine = open_engine(url_of(settings))
    session = Accounts(engine).session(Accounts(engine).open_session("admin"))
    assert session
    assert not session.must_change
    engine.dispose()


def test_init_on_every_store(store_settings: Settings) -> None:
    init(store_settings, "given by hand")
    assert init(store_settings, "given by hand") is None


def start(home: Path, settings: Settings) -> subprocess.Popen[str]:
    (home / "conf" / "otter.properties").write_text(
        f"otter.port={settings['otter.port']}\notter.bind=127.0.0.1\n"
        f"otter.communication.manager.port={settings['otter.communication.manager.port']}\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_it_serves_when_it_says_so_and_stops_in_order(tmp_path: Path) -> None:
    settings = ported(tmp_path)
    init(settings, "given by hand")
    process = start(tmp_path, settings)
    assert process.stdout
    with process:
        for line in process.stdout:
            if line.strip() == READY:
                break
        url = f"http://127.0.0.1:{settings['otter.port']}/healthz"
        with urllib.request.urlopen(url, timeout=5) as response:
            assert response.status == 200
        with socket.create_connection(("127.0.0.1", settings["otter.communication.manager.port"]), 5):
            pass
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 10
        assert "is down" in process.stdout.read()


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    settings = ported(tmp_path)
    init(settings, "given by hand")
    for name in ("otter.port", "otter.communication.manager.port"):
        with socket.create_server(("127.0.0.1", settings[name])):
            with pytest.raises(BadConfig, match="end the program that listens there") as caught:
                await run(settings)
            assert caught.value.field == name


async def test_without_init_it_says_to_run_it(tmp_path: Path) -> None:
    settings = ported(tmp_path)
    with pytest.raises(BadConfig, match="otter manager init"):
        await run(settings)
    init(settings, "given by hand")
    (tmp_path / "conf" / "manager.db").unlink()
    with pytest.raises(BadConfig, match="otter manager init"):
        await run(settings)


async def test_an_unreachable_store_is_named_without_its_password(tmp_path: Path) -> None:
    environ = {"OTTER_DATABASE_URL": f"mysql://127.0.0.1:{free_port()}/otter", "OTTER_DATABASE_USERNAME": "u"}
    settings = ported(tmp_path, **environ, OTTER_DATABASE_PASSWORD="hush!")
    with pytest.raises(BadConfig, match=r"otter\.database\.url") as caught:
        await asyncio.to_thread(init, settings, "given by hand")
    assert "hush" not in str(caught.value)


async def test_two_managers_share_one_store(store_settings: Settings, zookeeper: Zookeeper) -> None:
    """The second sees what the first was told."""
    init(store_settings, "given by hand")

    homes = [Settings("manager", store_settings.home, {**store_settings.values, **ports()}) for _ in range(2)]
    async with served(homes[0]) as one, served(homes[1]) as two:
        version = one.store.version()
        cluster = ZooKeeperCluster(name="zk", servers=(zookeeper.address,))
        await one.edit("admin", lambda old: c.create(old, cluster))
        seen = await two.newer_than(version, 10)
        assert seen
        assert "zk" in seen.zookeepers


def ports() -> dict[str, object]:
    return {
        "otter.port": free_port(),
        "otter.communication.manager.port": free_port(),
        "otter.bind": "127.0.0.1",
    }
