"""The least an ASGI server on these libraries can be: prints when it listens, and its pid; then it idles."""

import asyncio
import os
import socket
import time

import uvicorn
from starlette.applications import Starlette


class Announcing(uvicorn.Server):
    """Says when its socket answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        print(time.time(), os.getpid(), flush=True)


config = uvicorn.Config(Starlette(), host="127.0.0.1", port=0, log_level="critical", access_log=False)
asyncio.run(Announcing(config).serve())
