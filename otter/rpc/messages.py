"""What goes over a link: between the two sides of a pipeline, and between a node and its sides.

Tagged structs, packed by msgpack; a payload (a packed batch) may follow a message.
"""

from __future__ import annotations

import msgspec

from otter.model.config import Node, PipelineTask
from otter.model.process import Mark, Termin, Ticket
from otter.model.stats import Check, SideReport


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of all messages."""


# -- load side → select side --------------------------------------------------------------------------------------


class Hello(Message, frozen=True):
    """Answer to :class:`Welcome`: who loads here, and what the target has."""

    nid: int
    pid: int
    mark: Mark


class Ended(Message, frozen=True):
    """A process ended here."""

    termin: Termin


class Leaving(Message, frozen=True):
    """This load side stops: it finishes what it has, give it nothing new."""


class Pulse(Message, frozen=True):
    """Are you there, and what is your clock? ``sent`` is the load node's time."""

    sent: float


# -- select side → load side --------------------------------------------------------------------------------------


class Welcome(Message, frozen=True):
    """First word of a select side that has the seat: forget what is older than ``epoch`` and tell me your mark."""

    nid: int
    epoch: int


class Push(Message, frozen=True):
    """A ticket; the payload of a memory or inline batch follows."""

    ticket: Ticket


class Loaded(Message, frozen=True):
    """Another load side has loaded up to ``number``."""

    epoch: int
    number: int


class PulseBack(Message, frozen=True):
    """``sent`` as it came, and the select node's time when it came."""

    sent: float
    received: float


# -- node ↔ side ----------------------------------------------------------------------------------------------------


class Connect(Message, frozen=True):
    """First word on a side's socket: ``role`` is ``node`` or ``load``."""

    role: str
    nid: int = 0


class Configure(Message, frozen=True):
    """The pipeline's task (clear passwords: this travels only over the node's own Unix socket), the nodes and their
    addresses, and whether to move."""

    task: PipelineTask
    nodes: tuple[Node, ...]
    permit: bool


class Stop(Message, frozen=True):
    """Finish what is under way, give everything back, end."""


class Report(Message, frozen=True):
    report: SideReport


class LogLine(Message, frozen=True):
    """A log record of a side, for the node's log file."""

    level: int
    name: str
    text: str


class WaitFor(Message, frozen=True):
    """Answer :class:`Reached` once everything that the source has now is on the target."""

    id: int
    timeout: float


class Reached(Message, frozen=True):
    id: int
    reached: bool
    words: str


class Examine(Message, frozen=True):
    """Run doctor's checks from this side."""

    id: int


class Examined(Message, frozen=True):
    id: int
    checks: tuple[Check, ...]


AnyMessage = (
    Hello
    | Ended
    | Leaving
    | Pulse
    | Welcome
    | Push
    | Loaded
    | PulseBack
    | Connect
    | Configure
    | Stop
    | Report
    | LogLine
    | WaitFor
    | Reached
    | Examine
    | Examined
)
