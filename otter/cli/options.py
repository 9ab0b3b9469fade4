"""Options that several commands share, and the folder they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import otter
from otter.errors import BadConfig

Home = Annotated[
    Path | None,
    typer.Option("--home", envvar="OTTER_HOME", help="Folder with conf/ [default: this one if it has conf/]"),
]
ManagerUrl = Annotated[
    str, typer.Option("--manager-url", envvar="OTTER_MANAGER_URL", help="The manager's web address.")
]
ManagerUrlDefault = "http://127.0.0.1:8080"
Timeout = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait at most.")]


def checkout() -> Path:
    """The folder this program runs from."""
    return Path(otter.__file__).resolve().parents[1]


def home_folder(home: Path | None) -> Path:
    """The home a command works in: the given one, the current folder if it has ``conf/``, else the checkout."""
    if home is not None:
        if not home.is_dir():
            raise BadConfig("--home", str(home), "there is no such folder; `otter node init DIR` makes one")
        return home.resolve()
    here = Path.cwd()
    return here if (here / "conf").is_dir() else checkout()
