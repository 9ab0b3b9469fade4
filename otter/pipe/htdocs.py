"""The folders of batch files: ``htdocs/`` (offered to other nodes) and ``download/`` (fetched by aria2).

A published file is whole and never changes: it is written to a temporary name, synced and renamed. Side processes of
one node publish into the same folder, so its size is read from the folder, not counted in one process."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from otter.errors import Retryable
from otter.model.stats import BatchFileView
from otter.pipe import file

#: A temporary file older than this (seconds) belongs to a process that died while it wrote.
TEMPORARY_TTL = 600.0
CONTROL_SUFFIX = ".aria2"  # beside a file that aria2 has not finished
_TEMPORARY = re.compile(r"\..+\.tmp")
_FRESH = 0.5  # seconds for which one reading of the folder is good enough
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Htdocs:
    """One folder of batch files. ``budget`` in bytes (None: no limit), ``ttl`` in seconds. Blocking; any thread.

    The budget may be overstepped by what other processes publish within half a second, never by more."""

    def __init__(self, folder: Path, budget: int | None = None, ttl: float = 86400.0, name: str = "htdocs") -> None:
        self.folder, self.budget, self.ttl, self.name = folder, budget, ttl, name
        self._used = 0
        self._read_at = float("-inf")

    def publish(self, name: str, data: bytes) -> Path:
        """Writes ``data`` as the file ``name``, whole and durable or not at all. Raises :class:`Retryable` when there
        is no room or the folder cannot be written."""
        path = self.folder / file.checked(name)
        if not self.has_room(len(data)):
            raise self._full(f"{self.used()} of {self.budget} bytes are used, {len(data)} more do not fit")
        temporary = self.folder / f".{name}.{secrets.token_hex(4)}.tmp"
        try:
            self._write(temporary, path, data)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise self._refused(error) from None
        self._used += len(data)
        return path

    def _write(self, temporary: Path, path: Path, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.rename(path)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # without it a power cut may forget the name
        finally:
            os.close(folder)

    def _refused(self, error: OSError) -> Retryable:
        if error.errno in _NO_SPACE:
            return self._full("the disk has no space left")
        return Retryable(f"cannot write into {self.folder}: {error.strerror}", "make the folder writable for the node")

    def _full(self, words: str) -> Retryable:
        hint = "wait until the load side has caught up, free the disk, or raise otter.htdocs.limit"
        return Retryable(f"{self.name} full: {words}", hint)

    def has_room(self, size: int) -> bool:
        """Whether ``size`` more bytes are within the budget; for a caller that waits instead of failing."""
        if self.budget is None or self.used() + size <= self.budget:
            return True
        return self.used(fresh=True) + size <= self.budget  # before we say no, look again

    def used(self, fresh: bool = False) -> int:
        """Bytes of all files in the folder, at most half a second old."""
        if fresh or time.monotonic() - self._read_at > _FRESH:
            self._used = sum(found.st_size for _, found in self._files())
            self._read_at = time.monotonic()
        return self._used

    def find(self, name: str) -> Path | None:
        """The published file ``name``; None when there is none (a link or an odd name is none)."""
        with contextlib.suppress(OSError, Retryable):
            path = self.folder / file.checked(name)
            return path if stat.S_ISREG(path.lstat().st_mode) else None
        return None

    def remove(self, name: str) -> None:
        """Removes the file and aria2's notes on it; nothing happens when they are gone already."""
        for path in (self.folder / file.checked(name), self.folder / (name + CONTROL_SUFFIX)):
            with contextlib.suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                self._used = max(0, self._used - size)

    def sweep(self, now: float) -> tuple[str, ...]:
        """Removes what nobody came for within ``ttl``, and what dead processes left half-written; returns the names.
        Files that are not ours stay."""
        gone = tuple(name for name, found in self._files() if now - found.st_mtime > self._age_limit(name))
        for name in gone:
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()
        self._read_at = float("-inf")
        return gone

    def _age_limit(self, name: str) -> float:
        if _TEMPORARY.fullmatch(name):
            return TEMPORARY_TTL
        return self.ttl if name.removesuffix(CONTROL_SUFFIX).endswith(file.SUFFIX) else float("inf")

    def listing(self) -> tuple[BatchFileView, ...]:
        """The batch files, newest first; one that aria2 still works on shows the size it has by now."""
        views = [
            BatchFileView(folder=self.name, name=name, size=found.st_size, at=found.st_mtime)
            for name, found in self._files()
            if name.endswith(file.SUFFIX) and not name.startswith(".")
        ]
        return tuple(sorted(views, key=lambda view: view.at, reverse=True))

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # removed by somebody else meanwhile
                    if entry.is_file(follow_symlinks=False):
                        yield entry.name, entry.stat(follow_symlinks=False)
