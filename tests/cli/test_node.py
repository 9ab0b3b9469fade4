from __future__ import annotations

import stat
from pathlib import Path

import pytest

from otter import settings

from .conftest import Otter


def test_init_makes_a_home_that_can_be_loaded(otter: Otter, tmp_path: Path, key_file: Path) -> None:
    folder = tmp_path / "node one"
    ended = otter("node", "init", folder, "--nid", "7", "--manager", "10.0.0.1:1099,10.0.0.2:1099",
                  "--cluster-key-file", key_file, "--set", "otter.bind=127.0.0.1")  # fmt: skip
    assert ended.code == 0, ended.err
    loaded = settings.load("node", folder, {})
    assert loaded["otter.manager.address"] == ("10.0.0.1:1099", "10.0.0.2:1099")
    assert loaded["otter.bind"] == "127.0.0.1"
    assert (folder / "conf" / "nid").read_text() == "7\n"
    copy = loaded.path("otter.cluster.keyFile")
    assert copy.read_text() == key_file.read_text()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert {entry.name for entry in folder.iterdir()} == {"conf", "logs", "htdocs", "download", "extend", "run", "bin"}
    assert (folder / "bin" / "startup.sh").exists()


def test_init_again_keeps_the_home_but_never_takes_anothers(otter: Otter, tmp_path: Path, key_file: Path) -> None:
    arguments = ("--cluster-key-file", key_file)
    assert otter("node", "init", tmp_path / "n", "--nid", "1", *arguments).code == 0
    assert otter("node", "init", tmp_path / "n", "--nid", "1", *arguments).code == 0
    ended = otter("node", "init", tmp_path / "n", "--nid", "2", *arguments)
    assert ended.code == 3
    assert "home of another node" in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "otter.prot=1"), "is no setting of a node"),
        (("--set", "otter.port=1"), "is no setting of a node"),
        (("--set", "otter.bind"), "must be NAME=VALUE"),
        (("--set", "otter.htdocs.ttl=soon"), "otter.htdocs.ttl"),
        (("--manager", "nowhere"), "otter.manager.address"),
    ],
)
def test_init_refuses_what_a_node_could_not_use(
    otter: Otter, tmp_path: Path, key_file: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = otter("node", "init", tmp_path / "n", "--nid", "1", "--cluster-key-file", key_file, *arguments)
    assert ended.code == 3
    assert words in ended.err


def test_init_needs_the_cluster_key(otter: Otter, tmp_path: Path) -> None:
    ended = otter("node", "init", tmp_path / "n", "--nid", "1", "--cluster-key-file", tmp_path / "none")
    assert ended.code == 3
    assert "copy conf/cluster.key from the manager's home" in ended.err


@pytest.mark.parametrize("text", ["", "0", "-1", "one", "1.5", "１"])
def test_a_wrong_nid_is_one_sentence(otter: Otter, home: Path, text: str) -> None:
    (home / "conf" / "nid").write_text(text, "utf-8")
    ended = otter("node", "--home", home)
    assert ended.code == 3
    assert ended.err.count("\n") == 2
    assert "must be a whole number from 1" in ended.err
    assert f"{home}/conf/nid" in ended.err


def test_a_missing_nid_says_where_it_comes_from(otter: Otter, home: Path) -> None:
    ended = otter("node", "run", "--home", home)
    assert ended.code == 3
    assert "序号" in ended.err
