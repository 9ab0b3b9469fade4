from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from otter.cli import failure, logs
from otter.errors import BadConfig, Fatal


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """What a test sets up is taken down again."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_file_of_each_role(tmp_path: Path) -> None:
    for role in ("node", "manager"):
        logs.setup(role, tmp_path, "info")
        logging.getLogger("otter.x").info("你好 %s", role)
        logging.getLogger("otter.x").debug("not this")
        text = (tmp_path / "logs" / role / f"{role}.log").read_text("utf-8")
        assert text.endswith(f"otter.x - 你好 {role}\n")
        assert "not this" not in text


def test_files_rotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "BYTES", 1000)
    logs.setup("node", tmp_path, "INFO")
    for number in range(300):
        logging.getLogger("otter").info("line %d", number)
    names = {path.name for path in (tmp_path / "logs" / "node").iterdir()}
    assert names == {"node.log", *(f"node.log.{n}" for n in range(1, 11))}


def test_libraries_are_quiet(tmp_path: Path) -> None:
    logs.setup("node", tmp_path, "INFO")
    assert not logging.getLogger("kazoo.client").isEnabledFor(logging.INFO)
    assert logging.getLogger("kazoo.client").isEnabledFor(logging.WARNING)


def test_a_wrong_level_is_a_setting_to_mend(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"otter\.log\.level"):
        logs.setup("node", tmp_path, "LOUD")


def test_last_words_are_in_the_log_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("node", tmp_path, "INFO")
    assert failure.report(Fatal("port 2088 is taken", "end the other program")) == 1
    assert "port 2088 is taken" in (tmp_path / "logs" / "node" / "node.log").read_text()
    assert capsys.readouterr().err == "otter: port 2088 is taken\n  hint: end the other program\n"
