"""The REST API as the commands use it: one request at a time, errors as sentences.

Proxies of the environment are not used: a manager is an inner service, and a token must not pass by a stranger.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from otter.cli.failure import Answer
from otter.cli.options import home_folder
from otter.errors import BadConfig, Retryable

T = TypeVar("T")


class _Problem(msgspec.Struct):
    """``application/problem+json``."""

    title: str = ""
    detail: str = ""
    hint: str = ""
    field: str | None = ""


class Api:
    """A manager at ``url`` (may have a path prefix), called with a bearer ``token``."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadConfig("--manager-url", url, "must be http://HOST:PORT or https://HOST:PORT")
        self.url = url
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._token = token

    def get(self, path: str, kind: type[T], timeout: float = 30) -> T:
        return self._decode(self._call("GET", path, None, timeout), kind)

    def post(self, path: str, kind: type[T], body: Any = None, timeout: float = 60) -> T:
        """``body`` is a model object (or None)."""
        return self._decode(self._call("POST", path, msgspec.json.encode(body), timeout), kind)

    def _decode(self, data: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            hint = "--manager-url must be the web port of a manager of this version"
            raise Retryable(f"{self.url} does not answer like a manager: {error}", hint) from None

    def _call(self, method: str, path: str, body: bytes | None, timeout: float) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connection(timeout)
        try:
            connection.request(method, self._prefix + path, body, headers)
            response = connection.getresponse()
            data = response.read()
        except TimeoutError:
            raise Retryable(f"the manager at {self.url} did not answer within {timeout:.0f} s", "see its log") from None
        except (OSError, http.client.HTTPException) as error:
            hint = "start it with `otter manager`, or name another with --manager-url or OTTER_MANAGER_URL"
            raise Retryable(f"no manager answers at {self.url}: {_reason(error)}", hint) from None
        finally:
            connection.close()
        if response.status >= 400:
            raise _answer(response.status, data)
        return data

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "this host name is not known"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _answer(status: int, data: bytes) -> Answer:
    try:
        problem = msgspec.json.decode(data, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = _Problem(title=f"the manager answered {status}")
    hint = problem.hint
    if status == 401:
        hint = hint or "give the right token: OTTER_TOKEN, OTTER_TOKEN_FILE or conf/admin.token of the manager's home"
    text = problem.detail or problem.title or f"the manager answered {status}"
    return Answer(status, f"{problem.field}: {text}" if problem.field and problem.field not in text else text, hint)


def connect(url: str, home: Path | None) -> Api:
    """An API with the token of this operator; no request is made yet."""
    return Api(url, _token(home))


def _token(home: Path | None) -> str:
    if "OTTER_TOKEN" in os.environ:
        return os.environ["OTTER_TOKEN"].strip()
    given = os.environ.get("OTTER_TOKEN_FILE")
    file = Path(given) if given else home_folder(home) / "conf" / "admin.token"
    try:
        return file.read_text("utf-8").strip()
    except OSError as error:
        hint = "set OTTER_TOKEN, OTTER_TOKEN_FILE, or --home to the home in which `otter manager init` ran"
        raise BadConfig("token file", str(file), f"{error.strerror}; {hint}") from None
