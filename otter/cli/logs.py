"""Where a node or manager logs: ``logs/node/node.log`` or ``logs/manager/manager.log``, and the terminal.

One process of a node writes the file: side processes hand their records to the supervisor, so rotation is safe.
Secrets are not filtered here; they are not logged in the first place.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

from otter.errors import BadConfig

FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s [%(process)d] %(name)s - %(message)s"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
BYTES, FILES = 30 << 20, 10
#: Libraries that talk a lot: they speak when something is wrong.
QUIET = ("aiohttp.access", "asyncio", "kazoo", "alembic", "sqlalchemy", "urllib3", "aria2p", "websocket")


def file(role: str, home: Path) -> Path:
    """The log file of a ``node`` or ``manager``."""
    return home / "logs" / role / f"{role}.log"


def setup(role: str, home: Path, level: str) -> None:
    """Logging of this process: the rotating file (30 MB x 10), and stderr when a person sits before it."""
    level = level.upper()
    if level not in LEVELS:
        raise BadConfig("otter.log.level", level, f"must be one of {', '.join(LEVELS)}")
    path = file(role, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(path, maxBytes=BYTES, backupCount=FILES, encoding="utf-8")
    ]
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
    logging.basicConfig(level=level, format=FORMAT, datefmt="%Y-%m-%d %H:%M:%S", handlers=handlers, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
