"""Runs the API as a separate process."""

if __name__ == "__main__":  # first, because SIGTERM may arrive during the imports below, which take a second
    from relate_service.signals import block_signals

    block_signals()

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from relate_accounts.ports import AccountStore
from relate_accounts.types import User
from relate_api.access.dependencies import Services
from relate_api.admin.domains.looking_up import RecordLookUps, open_dns_of
from relate_api.app import create_app
from relate_api.config import SERVICE, ApiSettings, CorsSettings, OidcSettings, PageSettings
from relate_api.developers import Developers
from relate_api.http.server import ApiServer, BoundPorts
from relate_api.installation import Installation, MtaStsSettings, load_installation
from relate_api.live import Streams
from relate_api.oidc import CodeFlow, Issuer, OidcLogins
from relate_api.page import Page
from relate_api.push.message import PushTexts
from relate_api.push.request import PushRequests
from relate_api.push.vapid import VapidKey, load_key
from relate_api.webhooks import WebhookSender
from relate_api.webhooks.notice import Teller
from relate_config import load
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId
from relate_outbound.addresses import PrivateDestinations
from relate_outbound.client import OutboundClient
from relate_service.config import JaegerSettings
from relate_service.resources import Resources, ResourceSettings, check_environment, open_resources
from relate_service.statistics import ExportedStatistics
from relate_service.workers import run, stop_requested
from relate_submission.config import SmtpSettings
from relate_submission.routing import LocalOnly, Relaying
from relate_submission.rules import SubmissionRules
from relate_wire.limits import raise_open_files
from relate_wire.published import ImapPorts, Pop3Ports

SECTIONS = (
    ApiSettings,
    OidcSettings,
    CorsSettings,
    PageSettings,
    JaegerSettings,
    MtaStsSettings,
    SmtpSettings,
    Pop3Ports,
    ImapPorts,
)


@asynccontextmanager
async def serve_api(
    settings: ApiSettings,
    smtp_settings: SmtpSettings,
    resources: Resources,
    *,
    installation: Installation | None = None,
    cors: CorsSettings = CorsSettings(),  # noqa: B008 - frozen
    page: PageSettings = PageSettings(),  # noqa: B008 - frozen
    jaeger: JaegerSettings = JaegerSettings(),  # noqa: B008 - frozen
    client: OutboundClient | None = None,
    developers: Developers | None = None,
) -> AsyncIterator[BoundPorts]:
    """Run the API inside the block, on the yielded ports; requests in progress are completed at the end.

    Of SMTP's settings it takes those of submission, so that both accept the same messages. Without an `installation` it
    is read from the environment. `client` posts to webhooks and push services, instead of one by the settings;
    `developers` adds the routes of the developers' mode. Raises OSError if a port cannot be bound, CertificateError,
    ConfigurationError, StoreUnavailable.
    """
    installation = installation or load_installation(smtp_settings, settings, resources.relay)
    code_flow = await _accept_issuer(installation.oidc, resources) if installation.oidc.is_enabled else None
    push_key = await _load_push_key(settings, resources)
    app = create_app(
        _services(settings, _submission(smtp_settings, resources), resources, installation, push_key),
        settings.proxies,
        origins=cors.allowed_origins,
        requests_per_minute=settings.requests_per_minute,
        max_streams=settings.max_streams,
        look_ups=RecordLookUps(smtp_settings.server_name, resources.relay, open_dns_of(resources.relay)),
        shown=Page(page, code_flow, jaeger.url, accepts_logins=developers is not None),
        for_developers=developers,
    )
    resources.telemetry.instrument_app(app)
    certificate = resources.certificates.add(SERVICE, settings.certificate())
    async with (
        _webhook_sender(settings, resources, push_key, client) as sender,
        _exported(resources, app.state.streams, sender),
        ApiServer(app, settings, certificate, resources.supervisor) as ports,
    ):
        try:
            yield ports
        finally:
            app.state.streams.close()  # they would last as long as the server waits for requests
            if developers is not None:
                developers.waiters.close()


def _services(
    settings: ApiSettings,
    submission: SubmissionRules,
    resources: Resources,
    installation: Installation,
    push_key: VapidKey,
) -> Services:
    """What endpoints use, traced as that of this service."""
    store, authenticator = resources.traced(SERVICE)
    return Services(
        store,
        resources.accounts,
        authenticator,
        settings.allows_plaintext,
        installation,
        events=resources.traced_events(SERVICE),
        queue=resources.traced_queue(),
        suppressions=resources.suppressions,
        submission=submission,
        content=resources.content,
        labels=resources.traced_labels(SERVICE),
        filters=resources.traced_filters(SERVICE),
        webhooks=resources.webhooks,
        push_subscriptions=resources.push_subscriptions,
        push_key=push_key.public,
        tracing=resources.supervisor.tracing,
    )


async def _load_push_key(settings: ApiSettings, resources: Resources) -> VapidKey:
    contact = settings.push_contact or f"mailto:postmaster@{settings.server_name}"
    with resources.supervisor.tracing.work("api.push.key"):
        return await load_key(resources.push_subscriptions, contact)


@asynccontextmanager
async def _exported(resources: Resources, streams: Streams, sender: WebhookSender) -> AsyncIterator[None]:
    """Export the numbers of streams and webhooks within the block."""
    statistics = ExportedStatistics("api.statistics", resources.webhooks.statistics, resources.supervisor)
    resources.telemetry.observe_streams(streams)
    resources.telemetry.observe_webhooks(sender.results, statistics.take)
    try:
        yield
    finally:
        await statistics.close()


def _webhook_sender(
    settings: ApiSettings, resources: Resources, push_key: VapidKey, client: OutboundClient | None
) -> AbstractAsyncContextManager[WebhookSender]:
    """The task that posts events to webhooks and push services; owners of webhooks are told when one is disabled."""
    return WebhookSender(
        resources.webhooks,
        client or OutboundClient(private=settings.webhook_private_destinations),
        Teller(resources.store, resources.accounts, settings.server_name),
        PushRequests(push_key, PushTexts(resources.store, resources.accounts), time.time),
        resources.supervisor,
        traceparent=resources.telemetry.operations(SERVICE).origin,
    )


async def _accept_issuer(settings: OidcSettings, resources: Resources) -> CodeFlow | None:
    """Accept the issuer's tokens; the flow by which people sign in to the page, if the settings enable it."""
    logins = oidc_logins(settings, resources.accounts, resources.store)
    resources.authenticator.accept_tokens(logins)
    if not settings.signs_people_in:
        return None
    with resources.supervisor.tracing.work("api.sign_in.secret"):
        secret = await resources.accounts.sign_in_secret()
    return CodeFlow(logins, settings, secret)


def _submission(settings: SmtpSettings, resources: Resources) -> SubmissionRules:
    return SubmissionRules(
        directory=resources.directory,
        routing=(Relaying if resources.relay.enabled else LocalOnly)(resources.directory),
        server_name=settings.server_name,
        max_content=min(settings.max_message_size_bytes, resources.content.largest),
        max_recipients=settings.max_recipients,
        sending_limits=resources.limits.sending(),
    )


def oidc_logins(settings: OidcSettings, accounts: AccountStore, store: MailStore) -> OidcLogins:
    """Logins by tokens of the configured issuer, who may be at any address: an administrator names it."""

    async def provision(user: User) -> None:
        await store.provision(AccountId(user.id))

    plaintext = settings.authority.startswith("http:")
    client = OutboundClient(private=PrivateDestinations.ALLOW, plaintext_loopback=plaintext)
    return OidcLogins(Issuer(settings.authority, client), settings.audience, accounts, provision)


async def serve(_: int = 0) -> None:
    """Serve until a stop is requested."""
    check_environment(*SECTIONS)
    raise_open_files()
    settings, smtp_settings, cors = load(ApiSettings), load(SmtpSettings), load(CorsSettings)
    async with (
        open_resources(ResourceSettings(), "relate-api") as resources,
        serve_api(settings, smtp_settings, resources, cors=cors, page=load(PageSettings), jaeger=load(JaegerSettings)),
    ):
        await stop_requested()


if __name__ == "__main__":
    run(serve)
