"""The API as a process of its own. Wiring, and nothing else."""

if __name__ == "__main__":  # before all else: what is imported below takes a second, and a stop may come meanwhile
    from relate_service.signals import block_signals

    block_signals()

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relate_api.app import create_app
from relate_api.config import ApiSettings
from relate_api.dependencies import Services
from relate_api.server import ApiServer, Ports
from relate_config import load
from relate_service.resources import Resources, ResourceSettings, check_environment, open_resources
from relate_service.workers import run, stop_requested
from relate_wire.limits import raise_open_files


@asynccontextmanager
async def api_served(settings: ApiSettings, resources: Resources) -> AsyncIterator[Ports]:
    """The API listens inside, on these ports, and finishes its requests at the end.

    Raises OSError where a port is not to be had, CertificateError.
    """
    store, authenticator = resources.traced("api")
    services = Services(store, resources.accounts, authenticator, settings.allows_plaintext)
    app = create_app(services, settings.proxies)
    resources.telemetry.instrument_app(app)
    certificate = resources.certificates.add("api", settings.certificate())
    async with ApiServer(app, settings, certificate, resources.supervisor) as ports:
        yield ports


async def serve(_: int = 0) -> None:
    """Serve until asked to stop."""
    check_environment(ApiSettings)
    raise_open_files()
    async with open_resources(ResourceSettings(), "relate-api") as resources, api_served(load(ApiSettings), resources):
        await stop_requested()


if __name__ == "__main__":
    run(serve)
