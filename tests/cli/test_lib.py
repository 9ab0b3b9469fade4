"""bin/lib.sh: what it would install, with an apt-get that only notes down how it was called."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import ROOT

SERVERS = re.findall(r"([a-z0-9.-]+)=[\w/.-]+", (ROOT / "bin" / "lib.sh").read_text().partition("need_servers() {")[2])


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with the basics and a notebook in place of apt-get."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "readlink", "id", "env", "tail", "mktemp", "rm", "sha256sum", "cut", "grep"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def apt(tools: Path, code: int) -> None:
    script = tools / "apt-get"
    script.write_text(f'#!/bin/bash\necho "$*" >> "{tools}/calls"\necho "E: no such package"\nexit {code}\n')
    script.chmod(0o755)


def lib(tools: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'. "{ROOT}/bin/lib.sh"; {command}'], env={"PATH": str(tools), "HOME": os.environ["HOME"]},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_only_what_is_missing_and_nothing_is_removed(tools: Path) -> None:
    apt(tools, 0)
    done = lib(tools, "need there=bash absent=no-such-program file=/no/such/file; echo done")
    assert done.stdout == "done\n", done.stderr
    calls = (tools / "calls").read_text().splitlines()
    assert calls == ["update", "install -y --no-install-recommends --no-remove absent file"]


def test_nothing_missing_is_nothing_called(tools: Path) -> None:
    apt(tools, 0)
    assert lib(tools, "need there=bash also=/etc/hostname").returncode == 0
    assert not (tools / "calls").exists()


def test_a_failure_says_what_to_run_by_hand(tools: Path) -> None:
    apt(tools, 100)
    done = lib(tools, "need absent=no-such-program; echo done")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "E: no such package" in done.stderr
    assert "run: apt-get install absent" in done.stderr


def test_no_apt_get_at_all(tools: Path) -> None:
    done = lib(tools, "need absent=no-such-program")
    assert done.returncode == 1
    assert "install them by hand" in done.stderr


def test_the_servers_are_packages_without_a_service() -> None:
    assert {"mariadb-server-core", "libzookeeper-java", "aria2"} <= set(SERVERS)
    assert {"mariadb-server", "zookeeperd"}.isdisjoint(SERVERS)


def test_an_old_python_is_refused(tools: Path) -> None:
    old = tools / "old-python"
    old.write_text("#!/bin/bash\nexit 1\n")
    old.chmod(0o755)
    done = lib(tools, f'VENV="{tools}/venv"; PYTHON="$VENV/bin/python"; OTTER_PYTHON="{old}" need_venv')
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
