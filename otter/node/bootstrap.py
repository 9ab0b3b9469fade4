"""What a side process is born with. It travels through the forkserver's pipe, never in arguments or environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Bootstrap:
    """``sockets`` is the node's private folder of Unix sockets; times in seconds, sizes in bytes."""

    side: str  # select | load
    nid: int
    pipeline_id: int
    sockets: Path
    zookeeper_servers: tuple[str, ...]
    zookeeper_timeout: float
    htdocs: Path
    htdocs_budget: int
    htdocs_ttl: float
    download: Path
    payload: int
    memory_limit: int
    log_level: str
    aria2_conf: Path  # where the node's aria2c is, and its secret (mode 0600)
    key: bytes = field(repr=False)

    @property
    def socket(self) -> Path:
        return socket_of(self.sockets, self.side, self.pipeline_id)


def socket_of(sockets: Path, side: str, pipeline_id: int) -> Path:
    """The Unix socket on which a side listens."""
    return sockets / f"{side}-{pipeline_id}.sock"
