"""Errors as ``application/problem+json``: a sentence, a hint, and the field to blame."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from otter.errors import BadConfig, OtterError, Retryable
from otter.manager.refusal import Refusal, TooMany
from otter.rpc.client import Refused

log = logging.getLogger("otter.manager.api")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """Every error of the API."""

    status: int
    title: str
    detail: str
    hint: str = ""
    field: str = ""


def answer(problem: Problem) -> web.Response:
    return web.Response(body=msgspec.json.encode(problem), status=problem.status, content_type=TYPE)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Makes a problem of whatever a handler raises."""
    try:
        return await handler(request)
    except Refusal as error:
        response = answer(Problem(error.status, error.title, error.message, error.hint, error.field))
        if isinstance(error, TooMany):
            response.headers["Retry-After"] = f"{error.after:.0f}"
        return response
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = answer(
            Problem(error.status, error.reason.lower(), f"{request.method} {request.path}: {error.reason}")
        )
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except msgspec.MsgspecError as error:
        return answer(Problem(400, "not valid", str(error)))
    except OtterError as error:
        return answer(_of(error))
    except ConnectionResetError:
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return answer(Problem(500, "internal error", "the manager made a mistake", "its log says which"))


def _of(error: OtterError) -> Problem:
    if isinstance(error, Refused):  # a node refused what we asked of it
        return Problem(404 if error.status == 404 else 502, "refused by the node", error.message, error.hint)
    if isinstance(error, Retryable):
        return Problem(503, "not reachable", error.message, error.hint)
    if isinstance(error, BadConfig):
        return Problem(400, "not valid", error.message, error.hint, error.field)
    return Problem(500, "failed", error.message, error.hint)
