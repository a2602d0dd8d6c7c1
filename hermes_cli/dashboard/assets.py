"""The static files: read once, served from memory, never stale."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class Assets:
    """`version` is a digest of them all and stands in each address, so that caches may keep them for good."""

    def __init__(self) -> None:
        directory = files(__package__) / "static"
        self._contents = {name: (directory / name).read_bytes() for name in TYPES}
        digest = hashlib.sha256()
        for content in self._contents.values():
            digest.update(content)
        self.version = digest.hexdigest()[:12]

    async def serve(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._contents:
            raise HTTPException(404)
        current = request.query_params.get("v") == self.version
        caching = "public, max-age=31536000, immutable" if current else "no-cache"
        return Response(self._contents[name], 200, {"cache-control": caching}, TYPES[name])
