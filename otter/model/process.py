"""The scheduling words: ticket, termin, mark, mainstem. What nodes hand to each other; never a row."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from otter.model.batch import Part, Position, Wire


class PipeKind(StrEnum):
    MEMORY = "memory"  # same node: through the local socket, packed but neither compressed nor written
    INLINE = "inline"  # inside the push
    FILE = "file"  # a batch file, pulled by aria2
    NONE = "none"  # an empty batch: only the position moves


class PipeKey(Wire, frozen=True):
    """How to get a batch. ``url`` is signed and expires (kind FILE only). ``digest`` is the SHA-256 of the file's bytes
    or of the pushed payload, hex."""

    kind: PipeKind
    size: int = 0  # bytes on the wire
    digest: str = ""
    file: str = ""  # file name inside htdocs/
    url: str = ""


class Ticket(Wire, frozen=True):
    """One hand-off (D6): fenced by the mainstem's ``epoch``, ordered by ``number``."""

    epoch: int
    number: int
    key: PipeKey
    start: Position
    end: Position
    rows: int = 0
    transactions: int = 0
    part: Part = Part.WHOLE
    committed: float = 0.0  # source commit time of its oldest transaction
    selected: float = 0.0  # when select took it, select node's clock
    shipped: float = 0.0  # when it was handed to the link


class TerminType(StrEnum):
    NORMAL = "NORMAL"  # loaded and committed
    HELD = "HELD"  # a piece of a giant transaction is applied, not committed
    RESEND = "RESEND"  # bytes lost or damaged: make it again
    ROLLBACK = "ROLLBACK"  # not loaded: begin again from the mark


class Termin(Wire, frozen=True):
    """The end of a process, sent back to select."""

    epoch: int
    number: int
    type: TerminType
    loaded: float = 0.0  # target commit time, load node's clock
    delay: float = 0.0  # source commit to target commit in seconds, clocks corrected
    error: str = ""


class Mark(Wire, frozen=True):
    """The target's own row in ``retl.otter_mark``: what it has, and from whom (D1). It wins over every other record."""

    epoch: int = 0
    number: int = 0
    position: Position = Position()

    @property
    def is_new(self) -> bool:
        return self.number == 0


class Mainstem(msgspec.Struct, frozen=True):
    """Content of the mainstem znode: who selects a pipeline, and under which epoch."""

    nid: int
    epoch: int
