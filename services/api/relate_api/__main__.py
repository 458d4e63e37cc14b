"""Runs the API as a separate process."""

if __name__ == "__main__":  # first, because SIGTERM may arrive during the imports below, which take a second
    from relate_service.signals import block_signals

    block_signals()

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from relate_api.access.dependencies import Services
from relate_api.app import create_app
from relate_api.config import ApiSettings
from relate_api.http.server import ApiServer, BoundPorts
from relate_api.webhooks import WebhookSender
from relate_api.webhooks.notice import Teller
from relate_config import load
from relate_outbound.client import OutboundClient
from relate_service.resources import Resources, ResourceSettings, check_environment, open_resources
from relate_service.workers import run, stop_requested
from relate_wire.limits import raise_open_files


@asynccontextmanager
async def serve_api(
    settings: ApiSettings, resources: Resources, client: OutboundClient | None = None
) -> AsyncIterator[BoundPorts]:
    """Run the API inside the block, on the yielded ports; requests in progress are completed at the end.

    `client` posts to webhooks, instead of one by the settings.
    Raises OSError if a port cannot be bound, CertificateError.
    """
    store, authenticator = resources.traced("api")
    tracing = resources.supervisor.tracing
    services = Services(
        store,
        resources.accounts,
        authenticator,
        settings.allows_plaintext,
        webhooks=resources.webhooks,
        tracing=tracing,
    )
    app = create_app(services, settings.proxies, settings.max_streams)
    resources.telemetry.instrument_app(app)
    certificate = resources.certificates.add("api", settings.certificate())
    async with (
        _webhook_sender(settings, resources, client),
        ApiServer(app, settings, certificate, resources.supervisor) as ports,
    ):
        try:
            yield ports
        finally:
            app.state.streams.close()  # they would last as long as the server waits for requests


def _webhook_sender(
    settings: ApiSettings, resources: Resources, client: OutboundClient | None
) -> AbstractAsyncContextManager[WebhookSender]:
    """The task that posts events to webhooks; their owners are told by mail when one is disabled."""
    telemetry = resources.telemetry
    return WebhookSender(
        resources.webhooks,
        client or OutboundClient(private=settings.webhook_private_destinations),
        Teller(resources.store, resources.accounts, settings.server_name),
        resources.supervisor,
        traceparent=telemetry.operations("api").origin,
    )


async def serve(_: int = 0) -> None:
    """Serve until a stop is requested."""
    check_environment(ApiSettings)
    raise_open_files()
    async with open_resources(ResourceSettings(), "relate-api") as resources, serve_api(load(ApiSettings), resources):
        await stop_requested()


if __name__ == "__main__":
    run(serve)
