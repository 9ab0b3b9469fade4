"""Commands against a real manager; its ZooKeeper is real too, nodes are only configured."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.processes import Installation
from bench.servers import Zookeeper, free_port, wait_until

from .conftest import ROOT, Ended, Otter


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("installation"))
    made.init_manager()
    made.start_manager()
    yield made
    made.stop()


Command = Callable[..., Ended]


@pytest.fixture
def at(otter: Otter, installation: Installation) -> Command:
    """A command of an operator on the manager's machine."""
    return lambda *arguments: otter(
        *arguments, OTTER_HOME=str(installation.home), OTTER_MANAGER_URL=installation.url, OTTER_TOKEN_FILE=str(
            installation.home / "conf" / "admin.token")
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path, zookeeper: Zookeeper) -> Path:
    """The example, with a ZooKeeper that answers."""
    text = (ROOT / "conf" / "example.yaml").read_text("utf-8")
    path = tmp_path / "channel.yaml"
    path.write_text(text.replace("[10.0.0.1:2181, 10.0.0.2:2181, 10.0.0.3:2181]", f"[{zookeeper.address}]"), "utf-8")
    return path


def test_apply_shows_does_and_then_has_nothing_to_do(at: Command, file: Path) -> None:
    shown = at("apply", "-f", file, "--dry-run")
    assert shown.code == 0, shown.err
    assert "would create channel shop" in shown.out
    assert "0 already as in the file" in shown.out
    assert "shop" not in at("channel", "list").out

    done = at("apply", "-f", file)
    assert done.code == 0, done.err
    assert "created channel shop" in done.out
    assert at("apply", "-f", file).out.startswith("0 changed, ")
    _until_listed(at, "STOP")

    file.write_text(file.read_text("utf-8").replace("parallelism: 5", "parallelism: 9"), "utf-8")
    changed = at("apply", "-f", file)
    assert "changed" in changed.out
    assert "parallelism" in changed.out
    assert changed.out.splitlines()[-1].startswith("1 changed, ")


def _until_listed(at: Command, status: str) -> None:
    """The manager's picture may be half a second old."""
    wait_until(lambda: status in at("channel", "list").out, 20, f"status {status}")


def test_export_is_what_apply_takes(at: Command, file: Path, tmp_path: Path) -> None:
    at("apply", "-f", file)
    exported = tmp_path / "export.yaml"
    assert at("export", "-o", exported).code == 0
    text = exported.read_text("utf-8")
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    assert "change-me" not in text
    assert "enc:" in text
    assert "shop.goods" in text
    assert at("apply", "-f", exported).out.startswith("0 changed, ")
    assert at("export").out == text


def test_status_of_what_does_not_run(at: Command, file: Path) -> None:
    at("apply", "-f", file)
    _until_listed(at, "STOP")
    found = json.loads(at("status", "--json").out)
    assert [node["name"] for node in found["nodes"]] == ["hz-1", "us-1", "us-2"]
    assert found["channels"][0]["pipelines"][0]["state"] == "stopped"
    text = at("status").out
    assert "shop-hangzhou-us" in text
    assert "未启动" in text


def test_start_pause_stop(at: Command, file: Path) -> None:
    at("apply", "-f", file)
    started = at("channel", "start", "shop", "--no-wait")
    assert started.code == 0, started.err
    waited = at("channel", "start", "shop", "--timeout", "0")
    assert waited.code == 1
    assert "does not run yet: shop-hangzhou-us is" in waited.err
    assert "otter doctor --channel shop" in waited.err
    for verb, status in (("pause", "PAUSE"), ("stop", "STOP")):
        assert at("channel", verb, "shop").code == 0
        _until_listed(at, status)


def test_wait_says_where_it_stands(at: Command, file: Path) -> None:
    at("apply", "-f", file)
    at("channel", "start", "shop", "--no-wait")
    ended = at("wait", "shop", "--timeout", "1")
    assert ended.code == 1
    assert "shop has not caught up after 1 s: " in ended.err
    at("channel", "stop", "shop")


@pytest.mark.parametrize("call", [("channel", "start", "none"), ("channel", "stop", "none"), ("wait", "none")])
def test_no_such_channel(at: Command, call: tuple[str, ...]) -> None:
    ended = at(*call)
    assert ended.code == 1
    assert "none" in ended.err
    assert ended.err.startswith("otter: ")


def test_what_the_manager_refuses_names_the_object(at: Command, file: Path) -> None:
    file.write_text(file.read_text("utf-8").replace("target: us-west", "target: us-east"), "utf-8")
    ended = at("apply", "-f", file)
    assert ended.code == 3
    assert "us-east" in ended.err


def test_doctor_asks_the_manager_too(at: Command, file: Path) -> None:
    dead = f"127.0.0.1\n    port: {free_port()}"
    text = file.read_text("utf-8").replace("host: 10.0.0.21", f"host: {dead}")
    file.write_text(text.replace("host: 10.1.0.21\n    port: 3306", f"host: {dead}"), "utf-8")
    at("apply", "-f", file)
    ended = at("doctor", "--channel", "shop")
    assert ended.code == 1
    assert "hangzhou" in ended.out
    assert "WRONG" in ended.out
    assert "aria2c" in ended.out


def test_the_password_given_at_init_is_in_no_file_or_log(installation: Installation) -> None:
    for path in installation.home.rglob("*"):
        if path.is_file() and path.name != "password":
            assert installation.password.encode() not in path.read_bytes(), path
