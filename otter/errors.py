"""The words for what can go wrong. Doors translate library errors into these; nothing else crosses a room's border.

Every message is one sentence for an operator; ``hint`` says what to do about it.
"""

from __future__ import annotations

import asyncio
import random


class OtterError(Exception):
    """Base of all our errors: a sentence, and a hint that says how to mend it (may be empty)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Retryable(OtterError):
    """May go away by itself: the caller backs off and tries again from its last sure state."""


class Fatal(OtterError):
    """Will not go away by itself: stop this pipeline, say so, wait for a person."""


class LeaseLost(OtterError):
    """We may not do this any more (mainstem, epoch or session lost). Stop quietly; somebody else goes on."""


class Damaged(Retryable):
    """Bytes that are not what was written (truncated, flipped, wrong digest). The batch is fetched or made again."""


class BadConfig(OtterError):
    """A setting or object that cannot be used: which field, what value, and how to mend it."""

    def __init__(self, field: str, value: object, hint: str) -> None:
        super().__init__(f"{field} = {value!r} cannot be used", hint)
        self.field = field
        self.value = value


class Backoff:
    """The one place where we sleep: growing pauses with jitter between attempts. ``reset`` after a success."""

    def __init__(self, first: float = 0.2, most: float = 5.0) -> None:
        self._first, self._most = first, most
        self._tries = 0

    def reset(self) -> None:
        self._tries = 0

    async def pause(self) -> None:
        longest = min(self._most, self._first * 2**self._tries)
        self._tries = min(self._tries + 1, 16)
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - spreading retries, no secret
