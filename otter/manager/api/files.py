"""The console's pages: files of ``manager_web/``, never anything outside it."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

import otter

#: Beside the package: in the repository as well as where a wheel puts it.
FOLDER = Path(otter.__file__).resolve().parent.parent / "manager_web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def add_files(app: web.Application, folder: Path = FOLDER) -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        """aiohttp answers If-None-Match by the ETag; no-cache makes browsers ask every time."""
        file = (folder / (request.match_info["path"] or "index.html")).resolve()
        if not (file.is_relative_to(folder) and file.is_file()):
            raise web.HTTPNotFound
        return web.FileResponse(file)

    app.router.add_get("/{path:.*}", serve)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer."""
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Content-Security-Policy"] = POLICY
    headers.setdefault("Cache-Control", "no-store" if request.path.startswith("/api/") else "no-cache")
