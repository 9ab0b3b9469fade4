"""Process settings: one table of name, default and help; ``conf/otter.properties``, overridden by ``OTTER_*``.

Precedence: environment > file > default. An unknown key, a bad value or a key that Otter had and we dropped is a
:class:`BadConfig` that names the key and the mend. What replication does is not here: that is ``model.config``.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import javaproperties

from otter.errors import BadConfig


def _text(value: str) -> str:
    return value


def _count(value: str) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _port(value: str) -> int:
    number = int(value)
    if not 0 < number < 65536:
        raise ValueError("must be a port, 1 to 65535")
    return number


def _addresses(value: str) -> tuple[str, ...]:
    """``host:port`` list, separated by comma or Otter's semicolon."""
    parts = tuple(part.strip() for part in value.replace(";", ",").split(",") if part.strip())
    for part in parts:
        host, _, port = part.rpartition(":")
        if not host:
            raise ValueError(f"{part!r} is not host:port")
        _port(port)
    if not parts:
        raise ValueError("must name at least one host:port")
    return parts


@dataclass(frozen=True)
class Setting:
    """One process setting. ``default`` may use ``${home}``."""

    name: str
    default: str
    help: str
    parse: Callable[[str], Any] = _text
    roles: str = "node manager"

    @property
    def env(self) -> str:
        """``otter.htdocs.dir`` is overridden by ``OTTER_HTDOCS_DIR``."""
        return self.name.replace(".", "_").upper()


SETTINGS: tuple[Setting, ...] = (
    Setting("otter.nodeHome", "${home}", "home folder of the node", roles="node"),
    Setting("otter.htdocs.dir", "${home}/htdocs", "batch files this node offers", roles="node"),
    Setting("otter.download.dir", "${home}/download", "batch files aria2 fetched", roles="node"),
    Setting("otter.extend.dir", "${home}/extend", "users' processors", roles="node"),
    Setting("otter.manager.address", "127.0.0.1:1099", "managers as host:port,host:port", _addresses, "node"),
    Setting("otter.zookeeper.sessionTimeout", "15000", "ZooKeeper session timeout, ms", _count),
    Setting("otter.communication.payload", "8388608", "largest message between nodes, bytes", _count),
    Setting("otter.communication.pool.size", "10", "connections kept open to one peer", _count),
    Setting("otter.bind", "0.0.0.0", "address to listen on"),  # noqa: S104 - nodes of other sites must reach it
    Setting("otter.cluster.keyFile", "${home}/conf/cluster.key", "key by which managers and nodes know each other"),
    Setting("otter.log.level", "INFO", "DEBUG, INFO, WARNING or ERROR"),
    Setting("otter.htdocs.limit", "10240", "size budget of htdocs/, MiB; above it select waits", _count, "node"),
    Setting("otter.htdocs.ttl", "86400", "seconds after which an orphaned batch file goes", _count, "node"),
    Setting("otter.aria2.path", "aria2c", "the aria2c program", roles="node"),
    Setting("otter.side.memoryLimit", "1024", "memory limit of a side process, MiB; 0 = none", _count, "node"),
    Setting("otter.domainName", "127.0.0.1", "address of this manager in links", roles="manager"),
    Setting("otter.port", "8080", "port of the web console and REST API", _port, "manager"),
    Setting("otter.communication.manager.port", "1099", "port that nodes talk to", _port, "manager"),
    Setting(
        "otter.database.url", "sqlite:///${home}/conf/manager.db", "store: sqlite:///FILE or mysql://HOST:PORT/DB",
        roles="manager",
    ),
    Setting("otter.database.username", "", "user of a MySQL store", roles="manager"),
    Setting("otter.database.password", "", "password of a MySQL store", roles="manager"),
)  # fmt: skip

REMOVED: dict[str, str] = {
    "otter.jetty": "the web server needs no file of its own; remove it",
    "otter.database.driver.class.name": "the driver follows from otter.database.url; remove it",
    "otter.zookeeper.cluster.default": "the ZooKeeper cluster is an object of the console; remove it",
    "otter.manager.productionMode": "always on; remove it",
    "otter.manager.monitor.self.enable": "progress is always watched; remove it",
    "otter.manager.monitor.self.interval": "progress is always watched; remove it",
    "otter.manager.monitor.recovery.paused": "a paused channel stays paused until a person starts it; remove it",
}


@dataclass(frozen=True)
class Settings:
    """The settings of one process. ``home`` is its folder (absolute). Use ``settings["otter.port"]``."""

    role: str
    home: Path
    values: Mapping[str, Any] = field(repr=False)  # holds the store's password

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def path(self, name: str) -> Path:
        """A setting that is a path; relative ones are below the home folder."""
        return self.home / str(self.values[name])

    @property
    def conf(self) -> Path:
        return self.home / "conf"


def load(role: str, home: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of a ``node`` or ``manager`` whose folder is ``home``; raises :class:`BadConfig`."""
    environ = os.environ if environ is None else environ
    home = home.resolve()
    file = home / "conf" / "otter.properties"
    given = _read(file)
    _check_names(given, file)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        if role not in setting.roles.split():
            continue
        text = environ.get(setting.env, given.get(setting.name, setting.default)).replace("${home}", str(home))
        try:
            values[setting.name] = setting.parse(text)
        except ValueError as error:
            where = f"environment {setting.env}" if setting.env in environ else str(file)
            raise BadConfig(setting.name, text, f"{setting.help}; {error}; mend it in {where}") from None
    return Settings(role, home, values)


def origins(home: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Where each setting's value comes from: ``environment NAME``, the properties file, or ``default``."""
    environ = os.environ if environ is None else environ
    file = home.resolve() / "conf" / "otter.properties"
    given = _read(file)
    return {
        setting.name: f"environment {setting.env}"
        if setting.env in environ
        else (str(file) if setting.name in given else "default")
        for setting in SETTINGS
    }


def _read(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    try:
        return dict(javaproperties.loads(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BadConfig(str(file), type(error).__name__, f"must be readable UTF-8 properties: {error}") from None


def _check_names(given: Mapping[str, str], file: Path) -> None:
    known = [setting.name for setting in SETTINGS]
    for name in given:
        if name in REMOVED:
            raise BadConfig(name, given[name], f"{REMOVED[name]} (in {file})")
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            mend = f"did you mean {close[0]}?" if close else "see `otter settings` for all names"
            raise BadConfig(name, given[name], f"unknown setting in {file}; {mend}")
