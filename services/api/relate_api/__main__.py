"""The API as a process of its own. Wiring, and nothing else."""

if __name__ == "__main__":  # before all else: what is imported below takes a second, and a stop may come meanwhile
    from relate_service.signals import hold_stops

    hold_stops()

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator
from functools import partial

import uvicorn

from relate_api.app import create_app
from relate_api.config import ApiSettings
from relate_api.connection import Connection
from relate_api.dependencies import Services
from relate_config import load
from relate_service.resources import Resources, ResourceSettings, opened
from relate_service.workers import run, stop_requested

# A stop waits so long for requests under way (seconds): container runtimes kill after 10, and more is to be stopped.
GRACE = 3


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: the process it runs in has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


@contextlib.asynccontextmanager
async def api_served(settings: ApiSettings, resources: Resources) -> AsyncIterator[int]:
    """The API listens inside, on the port given, and finishes its requests at the end. Raises OSError if it cannot."""
    store, authenticator = resources.observed("api")
    app = create_app(Services(store, resources.accounts, authenticator))
    resources.telemetry.instrument_app(app)
    server = _Server(
        uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
        )
    )
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.create_server((settings.host, settings.port), family=family) as sock:
        stopping = asyncio.Event()
        serving = resources.supervisor.keep("api.server", partial(_serve_on, sock, server), stopping)
        try:
            yield sock.getsockname()[1]
        finally:
            server.should_exit = True
            stopping.set()
            await serving


async def _serve_on(sock: socket.socket, server: _Server) -> None:
    """Run uvicorn on a copy of the socket, as it closes what it is given."""
    try:
        await server.serve([sock.dup()])
    finally:
        for listening in getattr(server, "servers", ()):  # of a run that failed
            listening.close()


async def serve(_: int = 0) -> None:
    """Serve until asked to stop."""
    async with opened(ResourceSettings(), "relate-api") as resources, api_served(load(ApiSettings), resources):
        await stop_requested()


if __name__ == "__main__":
    run(serve)
