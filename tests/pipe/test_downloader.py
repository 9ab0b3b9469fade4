"""Downloads through a real aria2c from a real download port: whole, resumed, or a clear word."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bench.servers import free_port
from otter.errors import Damaged, Retryable
from otter.pipe import downloader as downloading
from otter.pipe import url
from otter.pipe.aria2 import Client, Daemon
from otter.pipe.downloader import Downloader, Missing, failure, order
from tests.pipe.conftest import KEY, Port, command_lines, until

MB = 1 << 20


def known_to(daemon: Daemon) -> int:
    """Downloads and results that aria2c keeps."""
    client = Client(*daemon.address())
    try:
        stat = client.get_global_stat()
        return sum(int(stat[name]) for name in ("numActive", "numWaiting", "numStopped"))
    finally:
        client.close()


async def test_a_file_comes_whole_and_only_once(port: Port, daemon: Daemon, downloader: Downloader) -> None:
    address, name, size, digest, data = port.publish(5 * MB)
    path = await downloader.fetch(address, name, size, digest, split=4)
    assert path.name == name and path.read_bytes() == data
    assert [found.name for found in path.parent.iterdir()] == [name]
    assert known_to(daemon) == 0
    asked = len(port.seen)
    assert await downloader.fetch(address, name, size, digest) == path  # it is there already
    assert len(port.seen) == asked
    assert not any("sig=" in line for line in port.seen)


async def test_small_files_side_by_side(port: Port, daemon: Daemon, downloader: Downloader) -> None:
    files = [port.publish(20_000, number) for number in range(16)]
    paths = await asyncio.gather(*(downloader.fetch(*file[:4]) for file in files))
    assert [path.read_bytes() for path in paths] == [file[4] for file in files]
    assert known_to(daemon) == 0


async def test_the_same_file_wanted_twice_at_once_is_fetched_once(port: Port, downloader: Downloader) -> None:
    address, name, size, digest, data = port.publish(50_000)
    one, two = await asyncio.gather(*(downloader.fetch(address, name, size, digest) for _ in range(2)))
    assert one == two and one.read_bytes() == data
    assert len(port.seen) == 1


@pytest.mark.parametrize("split", [1, 4])
async def test_kill_9_of_aria2c_in_mid_file_goes_on_where_it_was(
    port: Port, daemon: Daemon, downloader: Downloader, split: int
) -> None:
    address, name, size, digest, data = port.publish(12 * MB)
    port.slow = 0.02 * split  # 64 KiB each: about 3 MB/s together
    task = asyncio.create_task(downloader.fetch(address, name, size, digest, split=split))
    await until(lambda: sum(count for _, count in port.served) > 7 * MB)
    before, pid, killed = len(port.served), daemon.pid, time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: daemon.pid not in (0, pid))
    port.slow = 0
    path = await asyncio.wait_for(task, 30)
    assert path.read_bytes() == data
    again = sum(count for _, count in port.served[before:])
    assert again < size * 0.95, "it began anew instead of going on"
    assert time.monotonic() - killed < 10


async def test_the_other_node_goes_down_and_comes_back(port: Port, downloader: Downloader) -> None:
    address, name, size, digest, data = port.publish(8 * MB)
    port.slow = 0.5
    task = asyncio.create_task(downloader.fetch(address, name, size, digest, split=8))
    await until(lambda: sum(count for _, count in port.served) > MB)
    await port.stop()
    with pytest.raises(Retryable, match="refused or lost") as caught:
        await asyncio.wait_for(task, 60)
    assert not isinstance(caught.value, Damaged) and "download port" in caught.value.hint
    port.slow, port.served = 0.0001, []
    await port.start()
    path = await downloader.fetch(address, name, size, digest)
    assert path.read_bytes() == data
    assert sum(count for _, count in port.served) < size * 0.95


async def test_what_is_gone_or_expired_is_missing(port: Port, daemon: Daemon, downloader: Downloader) -> None:
    address, name, size, digest, _ = port.publish(1000)
    port.htdocs.remove(name)
    began = time.monotonic()
    with pytest.raises(Missing, match="not there any more"):
        await downloader.fetch(address, name, size, digest)
    with pytest.raises(Missing, match="expired"):
        await downloader.fetch(port.sign(name, life=-5), name, size, digest)
    other = url.sign(f"http://127.0.0.1:{port.number}", name, 2, time.time() + 60, b"another key, of another cluster.")
    with pytest.raises(Missing, match="cluster keys differ"):
        await downloader.fetch(other, name, size, digest)
    assert time.monotonic() - began < 10
    assert issubclass(Missing, Damaged)
    await until(lambda: known_to(daemon) == 0)


async def test_damaged_once_is_fetched_again_and_twice_is_said(port: Port, downloader: Downloader) -> None:
    address, name, size, digest, data = port.publish(200_000)
    port.damage = 1
    assert (await downloader.fetch(address, name, size, digest)).read_bytes() == data
    address, name, size, digest, data = port.publish(200_000, 2)
    port.damage = 2
    with pytest.raises(Damaged, match="twice") as caught:
        await downloader.fetch(address, name, size, digest)
    assert not isinstance(caught.value, Missing)
    assert not (downloader._folder / name).exists()
    assert (await downloader.fetch(address, name, size, digest)).read_bytes() == data


async def test_leftovers_are_not_believed(port: Port, tmp_path: Path, downloader: Downloader) -> None:
    address, name, size, digest, data = port.publish(300_000)
    (tmp_path / "download").mkdir()
    for wrong in (b"half of another file", bytes(size), bytes(size * 2)):
        (tmp_path / "download" / name).write_bytes(wrong)
        assert (await downloader.fetch(address, name, size, digest)).read_bytes() == data


async def test_a_download_of_an_earlier_life_is_joined(port: Port, daemon: Daemon, tmp_path: Path) -> None:
    address, name, size, digest, data = port.publish(4 * MB)
    port.slow = 0.03
    wanted = order(address, tmp_path / "download" / name, size, 1)
    client = Client(*daemon.address())  # as a side process that was killed then
    client.add_uri([wanted.url], wanted.options())
    client.close()
    await until(lambda: sum(count for _, count in port.served) > MB)
    async with Downloader(daemon.address, tmp_path / "download") as downloader:
        path = await downloader.fetch(address, name, size, digest)
    assert path.read_bytes() == data
    assert len(port.seen) == 1


async def test_cancel_stops_the_download(port: Port, daemon: Daemon, downloader: Downloader) -> None:
    address, name, size, digest, data = port.publish(4 * MB)
    port.slow = 0.1
    task = asyncio.create_task(downloader.fetch(address, name, size, digest))
    await until(lambda: sum(count for _, count in port.served) > MB // 4)
    task.cancel()
    await asyncio.wait([task])
    await until(lambda: known_to(daemon) == 0)
    port.slow = 0
    assert (await downloader.fetch(address, name, size, digest)).read_bytes() == data


async def test_words_for_what_may_pass(port: Port, daemon: Daemon, downloader: Downloader, tmp_path: Path) -> None:
    _, name, size, digest, _ = port.publish(1000)
    with pytest.raises(Retryable, match="refused or lost"):
        await downloader.fetch(f"http://127.0.0.1:{free_port()}/download/{name}?sig=0", name, size, digest)
    (tmp_path / "file").write_text("")
    async with Downloader(daemon.address, tmp_path / "file") as other:
        with pytest.raises(Retryable, match="cannot write into") as caught:
            await other.fetch(port.sign(name), name, size, digest)
    assert "otter.download.dir" in caught.value.hint
    with pytest.raises(Damaged, match="not the name"):
        await downloader.fetch(port.sign(name), "../x.otter", size, digest)


async def test_a_full_or_read_only_disk_is_said(port: Port, daemon: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:  # noqa: ASYNC221
        pytest.skip("may not mount a small tmpfs here")
    address, name, size, digest, _ = port.publish(3 * MB)
    try:
        async with Downloader(daemon.address, folder) as downloader:
            with pytest.raises(Retryable, match="is full"):
                await downloader.fetch(address, name, size, digest)
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)  # noqa: ASYNC221
            with pytest.raises(Retryable, match="cannot write into"):
                await downloader.fetch(address, name, size, digest)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: ASYNC221


async def test_a_silent_peer_and_a_missing_aria2c_have_deadlines(port: Port, daemon: Daemon, tmp_path: Path) -> None:
    address, name, size, digest, _ = port.publish(MB)
    port.slow = 1000
    async with Downloader(daemon.address, tmp_path / "download") as downloader:
        with pytest.raises(Retryable, match=r"no byte came from 127.0.0.1:\d+ for 1 s"):
            await downloader.fetch(address, name, size, digest, timeout=1)

    def nobody() -> tuple[int, str]:
        return free_port(), "x"

    async with Downloader(nobody, tmp_path / "download") as downloader:
        with pytest.raises(Retryable, match="aria2c has not answered for 1 s"):
            await downloader.fetch(address, name, size, digest, timeout=1)
    async with Downloader(lambda: (daemon.address()[0], "old secret"), tmp_path / "download") as downloader:
        with pytest.raises(Retryable, match="Unauthorized"):
            await downloader.fetch(address, name, size, digest, timeout=1)


async def test_without_notifications_the_slow_look_is_enough(
    port: Port, daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading.Ears, "_listen", lambda self: None)
    address, name, size, digest, data = port.publish(50_000)
    async with Downloader(daemon.address, tmp_path / "download") as downloader:
        assert (await downloader.fetch(address, name, size, digest)).read_bytes() == data


async def test_no_secret_in_logs_errors_and_process_lists(
    port: Port, daemon: Daemon, downloader: Downloader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address, name, size, digest, _ = port.publish(1000)
    signature = address.partition("&sig=")[2]
    await downloader.fetch(address, name, size, digest)
    port.htdocs.remove(name)
    (downloader._folder / name).unlink()
    with pytest.raises(Missing) as caught:
        await downloader.fetch(address, name, size, digest)
    everywhere = caplog.text + str(caught.value) + repr(downloader) + command_lines()
    for secret in (signature, daemon.address()[1], KEY.hex()):
        assert secret not in everywhere


@pytest.mark.parametrize(
    ("code", "words", "kind", "said"),
    [
        (3, "Resource not found", Missing, "not there any more"),
        (22, "The response status is not successful. status=403", Missing, "expired"),
        (22, "The response status is not successful. status=410", Missing, "expired"),
        (22, "The response status is not successful. status=500", Retryable, r"status=500 \(aria2 error 22\)"),
        (29, "The response status is not successful. status=503", Retryable, "status=503"),
        (2, "Timeout.", Retryable, "timed out"),
        (1, "Failed to establish connection, cause: Connection refused", Retryable, "refused or lost"),
        (1, "No URI available.", Retryable, "refused or lost"),
        (1, "Something else.", Retryable, r"aria2 error 1"),
        (9, "Write disk cache flush failure index=0", Retryable, "the disk of /d is full"),
        (17, "cause: No space left on device", Retryable, "the disk of /d is full"),
        (18, "Download aborted.", Retryable, "cannot write into /d"),
        (19, "Name resolution for x failed", Retryable, "cannot be resolved"),
        (8, "No URI available.", Retryable, "aria2 error 8"),
    ],
)
def test_every_code_of_aria2_has_words(code: int, words: str, kind: type[Retryable], said: str) -> None:
    error = failure(order("http://n:1/download/x.otter?sig=00", Path("/d/x.otter"), 1, 4), code, words)
    assert type(error) is kind and re.search(said, error.message) and error.hint
