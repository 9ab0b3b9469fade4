"""How a command ends badly: one sentence and a hint on stderr, and an exit code that scripts can tell apart."""

from __future__ import annotations

import logging
import os
import sys
import traceback

from otter.errors import BadConfig, OtterError, Retryable

FAILED = 1
BAD_CONFIG = 3
UNREACHABLE = 4
REFUSED = 5


class Answer(OtterError):
    """The manager answered a call with an error; ``status`` is its HTTP status."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status


_BY_STATUS = {400: BAD_CONFIG, 401: BAD_CONFIG, 403: BAD_CONFIG, 409: REFUSED, 422: BAD_CONFIG}


def exit_code(error: Exception) -> int:
    """0 never; see ``otter --help`` for the meaning of the others."""
    if isinstance(error, Answer):
        return UNREACHABLE if error.status in {502, 503, 504} else _BY_STATUS.get(error.status, FAILED)
    if isinstance(error, BadConfig):
        return BAD_CONFIG
    return UNREACHABLE if isinstance(error, Retryable) else FAILED


def words(error: Exception) -> str:
    """The error for an operator: a sentence, and below it what to do."""
    if not isinstance(error, OtterError):
        return f"{type(error).__name__}: {error}\n  hint: OTTER_LOG_LEVEL=DEBUG shows where it comes from"
    return f"{error.message}\n  hint: {error.hint}" if error.hint else error.message


def report(error: Exception) -> int:
    """Prints ``error`` (with its traceback under OTTER_LOG_LEVEL=DEBUG), keeps it in the log file of a
    node or manager, and returns the exit code."""
    if os.environ.get("OTTER_LOG_LEVEL", "").upper() == "DEBUG":
        traceback.print_exception(error)
    print(f"otter: {words(error)}", file=sys.stderr)  # noqa: T201 - the command line speaks here
    _last_words(error)
    return exit_code(error)


def _last_words(error: Exception) -> None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(logging.LogRecord("otter", logging.CRITICAL, __file__, 0, words(error), None, None))
