"""The pictures that decisions are taken from, and the moves that come out. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from otter.model.batch import Part
from otter.model.config import LbAlgorithm


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch that select has numbered and that is not acked. ``nid`` is the load side it was pushed to (0: none yet);
    ``held`` means: a piece of a giant transaction that is applied there but not committed."""

    number: int
    part: Part = Part.WHOLE
    nid: int = 0
    held: bool = False


@dataclass(frozen=True, slots=True)
class SelectBoard:
    """What the select side sees: its flights by number, the load sides with a greeted link, and who was last.
    Load sides that are ``leaving`` finish what they have and get nothing new."""

    flights: tuple[Flight, ...]
    loaders: tuple[int, ...]
    parallelism: int
    algorithm: LbAlgorithm = LbAlgorithm.STICK
    last_nid: int = 0
    leaving: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Push:
    """Give the ticket of ``number`` to load side ``nid``."""

    number: int
    nid: int


@dataclass(frozen=True, slots=True)
class Ride:
    """A ticket that a load side got. ``fetching``: its bytes are on their way; ``ready``: here and prepared."""

    number: int
    part: Part = Part.WHOLE
    fetching: bool = False
    ready: bool = False


@dataclass(frozen=True, slots=True)
class LoadBoard:
    """What a load side sees: its rides, and ``loaded`` = the last number that the target has (or that we hold open)."""

    rides: tuple[Ride, ...]
    loaded: int
    parallelism: int
    applying: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    number: int


@dataclass(frozen=True, slots=True)
class Apply:
    number: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget this ride: the target has it already."""

    number: int


LoadMove = Fetch | Apply | Drop
