"""The SMTP server as a separate process, and its composition root: only wiring is here."""

if __name__ == "__main__":  # first, because the imports below take a second, in which SIGTERM may arrive
    from relate_service.signals import block_signals

    block_signals()

from relate_config import load
from relate_service.resources import Resources, ResourceSettings, check_environment, open_resources
from relate_service.workers import run, stop_requested
from relate_smtp.config import REFUSAL_LIMITS
from relate_smtp.context import Context, Role
from relate_smtp.framing import Frame
from relate_smtp.offload import parse_offloaded
from relate_smtp.replies import BUSY
from relate_smtp.returned import ReportReader
from relate_smtp.session import SmtpEngine
from relate_submission.config import SmtpSettings
from relate_submission.routing import LocalOnly, Relaying
from relate_wire.driver import EngineFactory, Listener, Service
from relate_wire.limits import raise_open_files
from relate_wire.ports import Client
from relate_wire.server import Server


def smtp_service(settings: SmtpSettings, resources: Resources, *, starttls: bool = True) -> Service:
    """SMTP on its three ports: submission, submission with implicit TLS, reception.

    `starttls` is whether the first and the last offer STARTTLS. Raises CertificateError.
    """
    submission = _engine_factory(settings, resources, Role.SUBMISSION, starttls=starttls)
    reception = _engine_factory(settings, resources, Role.MX, starttls=starttls)
    listeners = (
        Listener(settings.host, settings.port, submission, prefix="Smtp", setting="Port"),
        Listener(
            settings.host, settings.secure_port, submission, implicit_tls=True, prefix="Smtp", setting="SecurePort"
        ),
        Listener(settings.host, settings.mx_port, reception, prefix="Smtp", setting="MxPort"),
    )
    telemetry = resources.telemetry.protocol("smtp")
    return Service(
        "smtp",
        listeners,
        telemetry,
        settings.limits(),
        resources.certificates.add("smtp", settings.certificate()),
        BUSY,
        settings.workers > 1,
        REFUSAL_LIMITS,
        resources.content,
    )


def _engine_factory(settings: SmtpSettings, resources: Resources, role: Role, *, starttls: bool) -> EngineFactory:
    store, authenticator = resources.traced("smtp")
    context = Context(
        role=role,
        store=store,
        authenticator=authenticator,
        directory=resources.directory,
        events=resources.traced_events("smtp"),
        routing=(Relaying if resources.relay.enabled else LocalOnly)(resources.directory),
        server_name=settings.server_name,
        max_content=min(settings.max_message_size_bytes, resources.content.largest),
        max_recipients=settings.max_recipients,
        require_authentication=settings.require_authentication,
        allows_plaintext=settings.allows_plaintext,
        starttls_available=starttls,
        sending_limits=resources.limits.sending(),
        reports=_report_reader(resources) if role is Role.MX and resources.relay.enabled else None,
    )

    def engine(client: Client[Frame]) -> SmtpEngine:
        return SmtpEngine(client, context)

    return engine


def _report_reader(resources: Resources) -> ReportReader:
    return ReportReader(resources.events, parse_offloaded, resources.accounts.envelope_secret)


async def serve(_: int = 0) -> None:
    """Serve until SIGTERM or SIGINT."""
    check_environment(SmtpSettings)
    raise_open_files()
    async with (
        open_resources(ResourceSettings(), "relate-smtp") as resources,
        Server(smtp_service(load(SmtpSettings), resources), supervisor=resources.supervisor),
    ):
        await stop_requested()


if __name__ == "__main__":
    run(serve, load(SmtpSettings).workers)
