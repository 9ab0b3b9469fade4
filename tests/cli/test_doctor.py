from __future__ import annotations

import socket
from pathlib import Path

from otter.cli import doctor
from otter.model.stats import Check

from .conftest import Otter


def found(home: Path, name: str) -> Check:
    return next(check for check in doctor.local(home) if check.name == name)


def test_this_machine_is_well(home: Path) -> None:
    (home / "conf" / "cluster.key").touch(0o600)
    assert [check for check in doctor.local(home) if not check.ok] == []
    assert found(home, "aria2c").words.startswith("aria2 version 1.")


def test_a_key_that_others_can_read(home: Path) -> None:
    key = home / "conf" / "cluster.key"
    key.touch(0o644)
    key.chmod(0o644)
    assert not found(home, "cluster key").ok
    assert f"chmod 600 {key}" in found(home, "cluster key").hint


def test_a_missing_key_and_a_missing_aria2c(home: Path) -> None:
    (home / "conf" / "otter.properties").write_text("otter.aria2.path = aria3c\n")
    assert not found(home, "cluster key").ok
    assert "apt-get install aria2" in found(home, "aria2c").hint


def test_too_little_disk(home: Path) -> None:
    (home / "conf" / "otter.properties").write_text("otter.htdocs.limit = 999999999\n")
    assert not found(home, "disk").ok
    assert "otter.htdocs.limit" in found(home, "disk").hint


def test_a_setting_that_cannot_be_used(home: Path) -> None:
    (home / "conf" / "otter.properties").write_text("otter.prot = 1\n")
    assert [check.name for check in doctor.local(home)] == ["settings"]


def test_a_port_is_free_or_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not doctor._is_free(port)
    assert doctor._is_free(port)


def test_no_manager_is_a_finding_and_the_rest_is_still_looked_at(otter: Otter, home: Path) -> None:
    ended = otter("doctor", "--home", home, OTTER_TOKEN="t", OTTER_MANAGER_URL="http://127.0.0.1:1")
    assert ended.code == 1
    assert "no manager answers at http://127.0.0.1:1" in ended.out
    assert "aria2c" in ended.out
    assert "wrong" in ended.out.splitlines()[-1]
