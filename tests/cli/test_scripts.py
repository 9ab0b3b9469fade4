"""startup.sh and stop.sh with a real manager, from any folder, in a home of its own."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.servers import free_port

from .conftest import ROOT, Otter

RUNNING = "server is running now ......"


def script(name: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OTTER_")}
    return subprocess.run(
        [str(ROOT / "bin" / name), *map(str, arguments)], cwd="/", capture_output=True, text=True, timeout=150,
        check=False, env={**kept, "OTTER_BIND": "127.0.0.1", **environment},
    )  # fmt: skip


@pytest.fixture
def manager_home(home: Path) -> Iterator[Path]:
    """A manager's home with free ports; stopped at the end."""
    given = f"otter.port = {free_port()}\notter.communication.manager.port = {free_port()}\n"
    (home / "conf" / "otter.properties").write_text(given)
    yield home
    script("stop.sh", "manager", home)


def command_of(pid: int) -> bytes:
    """Empty for a process that has ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def port_of(home: Path) -> int:
    return int((home / "conf" / "otter.properties").read_text().split()[2])


def test_start_twice_use_and_stop(manager_home: Path, otter: Otter) -> None:
    started = script("startup.sh", "manager", manager_home)
    assert started.returncode == 0, started.stderr
    assert started.stdout.startswith("## the")
    assert RUNNING in started.stdout
    pidfile = manager_home / "bin" / "otter-manager.pid"
    pid = int(pidfile.read_text())
    assert RUNNING in (manager_home / "logs" / "manager" / "manager.log").read_text("utf-8")

    again = script("startup.sh", "manager", manager_home)
    assert again.returncode == 1
    assert f"runs already (pid {pid}" in again.stderr

    url = f"http://127.0.0.1:{port_of(manager_home)}"
    assert otter("channel", "list", "--home", manager_home, "--manager-url", url).code == 0
    wrong = otter("channel", "list", "--manager-url", url, OTTER_TOKEN="wrong")
    assert wrong.code == 3
    assert "conf/admin.token" in wrong.err

    assert "is stopped" in script("stop.sh", "manager", manager_home).stdout
    assert command_of(pid) == b""
    assert not pidfile.exists()
    assert "does not run" in script("stop.sh", "manager", manager_home).stdout


def test_a_stale_pid_file_is_no_obstacle(manager_home: Path) -> None:
    (manager_home / "bin").mkdir()
    (manager_home / "bin" / "otter-manager.pid").write_text(f"{os.getpid()}\n")  # alive, but not a manager
    assert "does not run" in script("stop.sh", "manager", manager_home).stdout
    (manager_home / "bin" / "otter-manager.pid").write_text("999999999\n")
    started = script("startup.sh", "manager", manager_home)
    assert started.returncode == 0, started.stderr


def test_a_taken_port_is_one_sentence(manager_home: Path) -> None:
    with socket.create_server(("127.0.0.1", port_of(manager_home))):
        started = script("startup.sh", "manager", manager_home)
    assert started.returncode != 0
    assert str(port_of(manager_home)) in started.stderr
    assert "otter.port" in started.stderr
    assert "Traceback" not in started.stderr
    assert not (manager_home / "bin" / "otter-manager.pid").exists()


def test_a_bad_setting_comes_back_with_its_exit_code(manager_home: Path) -> None:
    started = script("startup.sh", "manager", manager_home, OTTER_PORT="eighty")
    assert started.returncode == 3
    assert "otter.port" in started.stderr


def test_a_node_home_starts_itself_by_its_links(otter: Otter, tmp_path: Path, key_file: Path) -> None:
    folder = tmp_path / "n1"
    otter("node", "init", folder, "--nid", "1", "--cluster-key-file", key_file)
    (folder / "conf" / "nid").write_text("eins\n")
    done = subprocess.run(
        [folder / "bin" / "startup.sh"], cwd="/", capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 3
    assert "序号" in done.stderr
    assert not (folder / "bin" / "otter-node.pid").exists()


def test_a_folder_that_is_no_home(tmp_path: Path) -> None:
    done = script("startup.sh", "node", tmp_path)
    assert done.returncode == 1
    assert "otter node init" in done.stderr
    assert script("startup.sh", "node", tmp_path / "none").returncode == 1
