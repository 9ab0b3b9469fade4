"""The command line as a function: ``otter("status", OTTER_TOKEN="x")`` -> exit code, stdout, stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from otter.cli import main

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Otter = Callable[..., Ended]


@pytest.fixture
def otter(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Otter:
    """Runs a command in this process, in an empty folder, with no OTTER_* but those given."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environment: str) -> Ended:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["otter", *map(str, arguments)])
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main.main()
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    folder = tmp_path / "home"
    (folder / "conf").mkdir(parents=True)
    return folder


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "cluster.key"
    file.write_text("0" * 64)
    return file
