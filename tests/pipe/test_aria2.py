"""The node's aria2c: a real child process that dies, hangs, cannot start, and comes back."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import aria2p
import pytest

from otter.errors import Retryable
from otter.pipe import aria2
from otter.pipe.aria2 import Client, Daemon, address_in
from tests.pipe.conftest import command_lines, is_alive, until


def ask(daemon: Daemon) -> str:
    client = Client(*daemon.address())
    try:
        return str(client.get_version()["version"])
    finally:
        client.close()


async def test_it_runs_on_loopback_with_a_secret_nobody_sees(daemon: Daemon) -> None:
    port, secret = daemon.address()
    assert daemon.health() == ""
    assert ask(daemon).startswith("1.")
    assert address_in(daemon.conf) == (port, secret)
    assert daemon.conf.stat().st_mode & 0o777 == 0o600
    assert len(secret) >= 32 and secret not in command_lines()
    stranger = Client(port, "guess")
    with pytest.raises(aria2p.ClientException, match="Unauthorized"):
        stranger.get_version()
    stranger.close()
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()  # noqa: ASYNC240
    assert f"0100007F:{port:04X}" in listening and f"00000000:{port:04X}" not in listening


async def test_kill_9_and_it_is_back_at_the_same_address(daemon: Daemon) -> None:
    address, pid = daemon.address(), daemon.pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: daemon.health() != "" or daemon.pid not in (0, pid))
    await until(lambda: daemon.health() == "" and daemon.pid not in (0, pid))
    assert daemon.address() == address
    assert ask(daemon)


async def test_one_that_dies_again_and_again_is_spoken_of(daemon: Daemon) -> None:
    for _ in range(3):
        pid = daemon.pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda pid=pid: daemon.pid not in (0, pid) and not daemon.health().startswith("aria2c ended"))
    assert "restarted 3 times within 5 minutes: aria2c ended with status -9" in daemon.health()


async def test_a_deaf_one_is_killed(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = daemon.pid
    for name, value in (("_PING_EVERY", 0.2), ("RPC_TIMEOUT", 0.3)):
        monkeypatch.setattr(aria2, name, value)
    os.kill(pid, signal.SIGKILL)  # so that the next life pings often
    await until(lambda: daemon.pid not in (0, pid) and daemon.health() == "")
    deaf = daemon.pid
    os.kill(deaf, signal.SIGSTOP)
    await until(lambda: daemon.pid not in (0, deaf) and daemon.health() == "")
    assert not is_alive(deaf)


async def test_it_takes_another_port_when_its_own_is_taken(daemon: Daemon) -> None:
    pid, (port, _) = daemon.pid, daemon.address()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not is_alive(pid))
        thief.bind(("127.0.0.1", port))
        thief.listen()
        await until(lambda: daemon.pid not in (0, pid) and daemon.health() == "" and daemon.address()[0] != port)
    assert ask(daemon)


async def test_a_missing_program_is_said(tmp_path: Path) -> None:
    daemon = Daemon(str(tmp_path / "no-aria2c"), tmp_path / "aria2.conf")
    await daemon.start(timeout=0.3)
    assert "No such file" in daemon.health() and "otter.aria2.path" in daemon.health()
    await daemon.stop()


async def test_a_program_that_ends_at_once_is_said(tmp_path: Path) -> None:
    daemon = Daemon("/bin/false", tmp_path / "aria2.conf")
    await daemon.start(timeout=0.5)
    assert "did not come up" in daemon.health()
    await daemon.stop()


async def test_stop_ends_it_and_leaves_no_secret_behind(tmp_path: Path) -> None:
    daemon = Daemon("aria2c", tmp_path / "aria2.conf")
    assert "not been started" in daemon.health()
    await daemon.stop()
    await daemon.start()
    pid = daemon.pid
    await daemon.stop()
    assert not is_alive(pid) and not daemon.conf.exists()
    assert "stopped" in daemon.health()
    with pytest.raises(Retryable, match="not running"):
        address_in(daemon.conf)


async def test_it_ends_when_its_node_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from otter.pipe.aria2 import Daemon
        async def main():
            daemon = Daemon("aria2c", Path(sys.argv[1]))
            await daemon.start()
            print(daemon.pid, flush=True)
            await asyncio.Event().wait()
        asyncio.run(main())
    """)
    node = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path / "aria2.conf"), stdout=subprocess.PIPE
    )
    assert node.stdout
    pid = int(await asyncio.wait_for(node.stdout.readline(), 20))
    assert is_alive(pid)
    node.kill()
    await node.wait()
    await until(lambda: not is_alive(pid), 30)


async def test_its_log_is_ours_without_signatures(
    daemon: Daemon, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    client = Client(*daemon.address())
    client.add_uri(["http://127.0.0.1:1/download/x.otter?nid=1&sig=abcdef0123"], {"dir": str(tmp_path)})
    client.close()
    await until(lambda: "Download aborted" in caplog.text)
    assert "sig=..." in caplog.text and "abcdef0123" not in caplog.text
    assert all(record.levelno >= logging.WARNING for record in caplog.records if "aria2c:" in record.message)
