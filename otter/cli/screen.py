"""What commands print: tables, and a status line while something takes long (stderr, only on a terminal)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


Say = Callable[[str], None]


def console() -> Console:
    """Standard output; wide and plain when it is not a terminal, so that nothing is cut off."""
    from rich.console import Console  # noqa: PLC0415 - 60 ms that `otter apply` need not pay

    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=240)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a plain table."""
    console().print(grid(head, rows))


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in head:
        made.add_column(title, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def state(name: str, words: str) -> str:
    """A state and its sentence, which often begins with the state itself: ``held up by target: lock wait``."""
    return words if words.startswith(name) else f"{name}: {words}" if words else name


@contextlib.contextmanager
def progress(words: str) -> Iterator[Say]:
    """A spinner with words while the block runs; yields a function that changes them. Silent without a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415

    with Console(stderr=True).status(escape(words)) as line:
        yield lambda text: line.update(escape(text))
