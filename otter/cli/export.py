"""``otter export``: everything the manager holds, as the YAML that ``otter apply`` reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from otter.cli.api import connect
from otter.cli.options import Home, ManagerUrl, ManagerUrlDefault
from otter.errors import BadConfig
from otter.model.config import Document


def export(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write [default: print it]")] = None,
    home: Home = None,
    manager_url: ManagerUrl = ManagerUrlDefault,
) -> None:
    """Write everything as YAML. Passwords are sealed (enc:...) and work again under the same cluster key."""
    from otter.cli import document  # noqa: PLC0415 - YAML only where YAML is

    text = document.write(connect(manager_url, home).get("/api/v1/export", Document))
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BadConfig("--output", str(output), f"cannot be written: {error.strerror}") from None
