from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.servers import free_port

from .conftest import ROOT, Otter

CALLS = [
    ("status",),
    ("channel", "list"),
    ("channel", "start", "x"),
    ("wait", "x"),
    ("export",),
    ("apply", "-f", str(ROOT / "conf" / "example.yaml")),
]


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_no_manager_is_one_sentence_and_exit_4(otter: Otter, call: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ended = otter(*call, OTTER_TOKEN="t", OTTER_MANAGER_URL=url)
    assert ended.code == 4
    assert ended.err.startswith(f"otter: no manager answers at {url}: Connection refused\n  hint: start it with")


def test_no_token_is_exit_3_and_says_where_one_is(otter: Otter, home: Path) -> None:
    ended = otter("status", "--home", home)
    assert ended.code == 3
    assert "conf/admin.token" in ended.err
    assert "OTTER_TOKEN" in ended.err


def test_a_token_is_never_printed(otter: Otter) -> None:
    ended = otter("status", OTTER_TOKEN="geheim", OTTER_MANAGER_URL="http://127.0.0.1:1", OTTER_LOG_LEVEL="DEBUG")
    assert "geheim" not in ended.out + ended.err
    assert "Traceback" in ended.err


@pytest.mark.parametrize("url", ["ftp://x", "http://", "nonsense://"])
def test_a_manager_url_must_be_one(otter: Otter, url: str) -> None:
    ended = otter("status", "--manager-url", url, OTTER_TOKEN="t")
    assert ended.code == 3
    assert "--manager-url" in ended.err


@pytest.fixture
def stranger() -> Iterator[int]:
    """A server on loopback that answers every call with a page; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _serve(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")


def test_a_stranger_on_the_port_is_told_apart(otter: Otter, stranger: int) -> None:
    ended = otter("status", "--manager-url", f"http://127.0.0.1:{stranger}", OTTER_TOKEN="t")
    assert ended.code == 4
    assert "does not answer like a manager" in ended.err


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("channel", "start"), ("wait", "x", "--timeout", "-1"), ("apply",)]
)
def test_wrong_usage_is_exit_2(otter: Otter, arguments: tuple[str, ...]) -> None:
    ended = otter(*arguments)
    assert ended.code == 2
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "command",
    ["manager", "manager init", "node", "node init", "apply", "export", "channel", "channel start", "status", "wait",
     "inspect", "doctor", "settings"],
)  # fmt: skip
def test_every_command_has_help(otter: Otter, command: str) -> None:
    ended = otter(*command.split(), "--help")
    assert ended.code == 0
    assert len(ended.out.splitlines()) > 5
    assert f"otter {command.split(maxsplit=1)[0]}" in (ROOT / "docs" / "cli.md").read_text("utf-8")


def test_version(otter: Otter) -> None:
    assert otter("--version").out.startswith("otter 0.")


def test_a_missing_home_is_exit_3(otter: Otter) -> None:
    ended = otter("node", "--home", "/nowhere/at/all")
    assert ended.code == 3
    assert "otter node init DIR" in ended.err


def test_a_broken_pipe_is_quiet() -> None:
    done = subprocess.run(
        f"{sys.executable} -m otter.cli.main settings --format markdown | head -n 1",
        shell=True, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "# Settings of a process\n"
    assert "Traceback" not in done.stderr


def test_it_starts_fast() -> None:
    """No server library is loaded for a client command (the fast way: what is imported, not how long it takes)."""
    heavy = {"aiohttp", "kazoo", "pymysql", "rich", "yaml"}
    code = f"import sys, otter.cli.main; print(*({heavy} & sys.modules.keys()))"
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""
    assert time.monotonic() - begin < 20
