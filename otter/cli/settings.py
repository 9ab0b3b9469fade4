"""``otter settings``: every process setting, its value and its origin; also as properties file and Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from otter import settings as table
from otter.cli import screen
from otter.cli.options import Home, home_folder
from otter.errors import BadConfig


class Format(StrEnum):
    TABLE = "table"
    PROPERTIES = "properties"
    MARKDOWN = "markdown"


def settings(
    home: Home = None,
    form: Annotated[Format, typer.Option("--format", help="How to print them.")] = Format.TABLE,
) -> None:
    """List the settings of a process. Each with its value and where that comes from.

    \b
    properties and markdown print the defaults: what conf/otter.properties and docs/settings.md hold.
      otter settings --home /srv/node1
    """
    if form is Format.PROPERTIES:
        typer.echo(properties("node manager", {}), nl=False)
    elif form is Format.MARKDOWN:
        typer.echo(markdown(), nl=False)
    else:
        folder = home_folder(home)
        values = {**table.load("manager", folder).values, **table.load("node", folder).values}
        origins = table.origins(folder)
        rows = [(s.name, s.roles, _shown(s.name, values[s.name]), origins[s.name]) for s in table.SETTINGS]
        screen.table(("setting", "of", "value", "from"), rows)


def _shown(name: str, value: object) -> str:
    """A value without secrets."""
    if name.endswith("password"):
        return "******" if value else ""
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return re.sub(r"(//[^:/@]*):[^@/]*@", r"\1:******@", text)


def properties(roles: str, given: Mapping[str, str]) -> str:
    """A commented ``otter.properties`` for ``roles``: settings in ``given`` are set, others are commented out."""
    wanted = [s for s in table.SETTINGS if set(s.roles.split()) & set(roles.split())]
    for name in given:
        if name not in {setting.name for setting in wanted}:
            raise BadConfig("--set", name, "is no setting of a node; see `otter settings`")
    lines = [
        "# Settings of this home. Environment variables win over this file (otter.port is OTTER_PORT).",
        "# A line that is commented out shows the default. ${home} is this folder.",
    ]
    for setting in wanted:
        of = "" if len(roles.split()) == 1 or len(setting.roles.split()) > 1 else f" ({setting.roles} only)"
        lines += ["", f"# {setting.help}{of}"]
        value = given.get(setting.name)
        lines.append(f"#{setting.name} = {setting.default}" if value is None else f"{setting.name} = {_escape(value)}")
    return "\n".join(lines) + "\n"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\")


def markdown() -> str:
    """``docs/settings.md``."""
    lines = [
        "# Settings of a process",
        "",
        "Made by `otter settings --format markdown > docs/settings.md`; a test compares.",
        "",
        "A home has `conf/otter.properties`; the environment variable of a setting wins over it. `${home}` is its",
        "folder, relative paths are below it. `otter settings` shows the values in use and where each comes from.",
        "What replication does (channels, pipelines, parameters) is not here: see [yaml.md](yaml.md).",
        "",
        "| setting | environment | of | default | what |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| `{s.name}` | `{s.env}` | {s.roles} | `{s.default}` | {s.help} |" for s in table.SETTINGS]
    lines += ["", "Otter's settings that are gone, and what to do:", "", "| setting | |", "|---|---|"]
    lines += [f"| `{name}` | {advice} |" for name, advice in table.REMOVED.items()]
    return "\n".join(lines).replace("| `` |", "| |") + "\n"
