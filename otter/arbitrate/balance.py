"""Which load side gets the next batch: Otter's Stick, RoundRobin and Random."""

from __future__ import annotations

import random

from otter.model.config import LbAlgorithm


def choose(algorithm: LbAlgorithm, loaders: tuple[int, ...], last: int) -> int:
    """A nid of ``loaders``, 0 when there is none. ``last`` is the one that got the batch before."""
    if not loaders:
        return 0
    match algorithm:
        case LbAlgorithm.STICK:
            return last if last in loaders else min(loaders)
        case LbAlgorithm.ROUND_ROBIN:
            return next((nid for nid in sorted(loaders) if nid > last), min(loaders))
        case LbAlgorithm.RANDOM:
            return random.choice(loaders)  # noqa: S311 - spreading load, not keeping secrets
