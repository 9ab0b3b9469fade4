"""The folders: whole files or none, a budget over processes, and a sweep that spares what is fresh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otter.errors import Damaged, Retryable
from otter.pipe.htdocs import TEMPORARY_TTL, Htdocs

NAME = "3-17-4-{}-0a1b2c3d.otter"


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mount.returncode:
        pytest.skip("may not mount a small tmpfs here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_published_file_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    htdocs = Htdocs(tmp_path / "htdocs", 1000)
    path = htdocs.publish(NAME.format(1), b"x" * 400)
    assert path.read_bytes() == b"x" * 400
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert htdocs.find(path.name) == path
    assert htdocs.used() == 400
    assert [(view.folder, view.name, view.size) for view in htdocs.listing()] == [("htdocs", path.name, 400)]
    htdocs.remove(path.name)
    htdocs.remove(path.name)  # gone already
    assert htdocs.used() == 0 and not list(path.parent.iterdir())


def test_the_budget_holds_over_processes(tmp_path: Path) -> None:
    here, there = Htdocs(tmp_path, 1000), Htdocs(tmp_path, 1000)
    assert here.has_room(1000)
    there.publish(NAME.format(1), bytes(700))
    with pytest.raises(Retryable, match="htdocs full: 700 of 1000 bytes are used, 400 more do not fit") as caught:
        Htdocs(tmp_path, 1000).publish(NAME.format(2), bytes(400))
    assert "otter.htdocs.limit" in caught.value.hint
    assert here.used(fresh=True) == 700 and not here.has_room(301) and here.has_room(300)
    there.remove(NAME.format(1))
    assert here.has_room(1000)  # looks again before it says no
    assert Htdocs(tmp_path).has_room(1 << 60)  # no budget


def test_a_full_disk_is_said_and_leaves_nothing(tiny_disk: Path) -> None:
    htdocs = Htdocs(tiny_disk, 1 << 30)
    with pytest.raises(Retryable, match="htdocs full: the disk has no space left"):
        htdocs.publish(NAME.format(1), os.urandom(3 << 20))
    assert not list(tiny_disk.iterdir())
    htdocs.publish(NAME.format(2), os.urandom(1000))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Retryable, match="cannot write into") as caught:
        Htdocs(tmp_path / "file", 1000).publish(NAME.format(1), b"x")
    assert "writable" in caught.value.hint


def test_kill_9_in_mid_write_leaves_no_batch_file(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import sys, os
        from pathlib import Path
        from otter.pipe.htdocs import Htdocs
        htdocs, number = Htdocs(Path(sys.argv[1])), 0
        data = bytes(3_000_000)
        print("ready", flush=True)
        while True:
            number += 1
            htdocs.publish(f"1-1-1-{number}-00000000.otter", data)
    """)
    for moment in (0.01, 0.03, 0.05):
        child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None and child.stdout.readline()
        time.sleep(moment)  # the moment of the kill, not a wait for something
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        child.stdout.close()
        views = Htdocs(tmp_path).listing()
        assert all(view.size == 3_000_000 for view in views)
    for left in tmp_path.glob(".*.tmp"):
        age(left, TEMPORARY_TTL + 1)
    Htdocs(tmp_path).sweep(time.time())
    assert not list(tmp_path.glob(".*.tmp"))


def test_the_sweep_takes_orphans_only(tmp_path: Path) -> None:
    htdocs = Htdocs(tmp_path, ttl=3600)
    for name, old in {
        NAME.format(1): 3700, NAME.format(2): 3500, NAME.format(3): -100,
        NAME.format(4): 3700, NAME.format(4) + ".aria2": 3700,
        "." + NAME.format(5) + ".0a1b2c3d.tmp": 700, "." + NAME.format(6) + ".0a1b2c3d.tmp": 500,
        "README.txt": 1e6, ".gitkeep": 1e6,
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(b"12345")
        age(tmp_path / name, old)
    (tmp_path / "folder.otter").mkdir()
    age(tmp_path / "folder.otter", 1e6)
    gone = htdocs.sweep(time.time())
    expected = {NAME.format(1), NAME.format(4), NAME.format(4) + ".aria2", "." + NAME.format(5) + ".0a1b2c3d.tmp"}
    assert set(gone) == expected
    assert {path.name for path in tmp_path.iterdir()} == {
        NAME.format(2), NAME.format(3), "." + NAME.format(6) + ".0a1b2c3d.tmp", "README.txt", ".gitkeep",
        "folder.otter",
    }  # fmt: skip
    assert {view.name for view in htdocs.listing()} == {NAME.format(2), NAME.format(3)}
    assert htdocs.used() == 25
    assert Htdocs(tmp_path / "none").sweep(time.time()) == ()


def test_only_plain_names_of_batch_files(tmp_path: Path) -> None:
    htdocs = Htdocs(tmp_path / "htdocs", 1000)
    htdocs.publish(NAME.format(1), b"x")
    (tmp_path / "secret.otter").write_text("secret")
    (tmp_path / "htdocs" / "link.otter").symlink_to(tmp_path / "secret.otter")
    (tmp_path / "htdocs" / "other.txt").write_text("x")
    for name in ("../secret.otter", "link.otter", "other.txt", "", ".", "..", "none.otter", "x\0.otter"):
        assert htdocs.find(name) is None
    for name in ("../x.otter", "/tmp/x.otter", "x.txt", ""):
        with pytest.raises(Damaged):
            htdocs.publish(name, b"x")
        with pytest.raises(Damaged):
            htdocs.remove(name)
