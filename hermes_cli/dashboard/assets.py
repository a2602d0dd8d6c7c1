"""The static files: read once, served from memory, never stale."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Assets:
    """`version` is a digest of them all and stands in each path, so that caches may keep them for good.

    In the path, not the query: modules import each other by relative names, and those keep the path.
    """

    def __init__(self) -> None:
        directory = files(__package__) / "static"
        self._contents = {
            file.name: file.read_bytes()
            for file in sorted(directory.iterdir(), key=lambda file: file.name)
            if _type(file.name)
        }
        digest = hashlib.sha256()
        for name, content in self._contents.items():
            digest.update(name.encode() + b"\0" + content)
        self.version = digest.hexdigest()[:12]

    async def serve(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._contents:
            raise HTTPException(404)
        current = request.path_params["version"] == self.version
        caching = "public, max-age=31536000, immutable" if current else "no-cache"
        return Response(self._contents[name], 200, {"cache-control": caching}, _type(name))


def _type(name: str) -> str | None:
    return TYPES.get(name[name.rfind(".") :])
