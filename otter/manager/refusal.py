"""Requests that are refused, each with its HTTP status; the API makes a problem of them."""

from __future__ import annotations

from otter.errors import OtterError


class Refusal(OtterError):
    """Cannot be done as asked. ``field`` is the path of the body's field that is to blame (may be empty)."""

    status = 400
    title = "not valid"

    def __init__(self, message: str, hint: str = "", field: str = "") -> None:
        super().__init__(message, hint)
        self.field = field


class NotLoggedIn(Refusal):
    status = 401
    title = "not logged in"


class Forbidden(Refusal):
    status = 403
    title = "not allowed"


class NotFound(Refusal):
    status = 404
    title = "not found"


class Conflict(Refusal):
    """Valid in itself, but not with what is there."""

    status = 409
    title = "conflict"


class TooMany(Refusal):
    """``after``: seconds until the next try makes sense."""

    status = 429
    title = "too many attempts"

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message, f"try again in {after:.0f} s")
        self.after = after
