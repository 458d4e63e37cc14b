"""Starts the IMAP server in a process of its own, and composes the service from its parts."""

if __name__ == "__main__":  # before the imports below, because they take a second and SIGTERM may arrive meanwhile
    from relate_service.signals import block_signals

    block_signals()

from relate_config import load
from relate_imap.commands import UNKNOWN
from relate_imap.config import ImapSettings
from relate_imap.context import Context, SessionLimit
from relate_imap.framing import Frame
from relate_imap.offload import thread_offload
from relate_imap.replies import BUSY
from relate_imap.select_span import traced_selects
from relate_imap.session import COMMANDS, ImapEngine
from relate_service.resources import Resources, ResourceSettings, check_environment, open_resources
from relate_service.workers import run, stop_requested
from relate_wire.driver import Listener, Service
from relate_wire.limits import raise_open_files
from relate_wire.ports import Client
from relate_wire.server import Server


def imap_service(settings: ImapSettings, resources: Resources, *, starttls: bool = True) -> Service:
    """The IMAP service on two ports: one with STARTTLS, unless `starttls` is False, one with implicit TLS.

    Raises CertificateError.
    """
    store, authenticator = resources.traced("imap")
    context = Context(
        store=store,
        authenticator=authenticator,
        server_name=settings.server_name,
        append_limit=min(settings.max_message_size_bytes, resources.content.largest),
        sessions=SessionLimit(settings.max_connections_per_user),
        allows_plaintext=settings.allows_plaintext,
        starttls_available=starttls,
        select_span=traced_selects(resources.telemetry.operations("imap")),
        offload=thread_offload(),
    )

    def engine(client: Client[Frame]) -> ImapEngine:
        return ImapEngine(client, context)

    listeners = (
        Listener(settings.host, settings.port, engine, prefix="Imap", setting="Port"),
        Listener(settings.host, settings.secure_port, engine, implicit_tls=True, prefix="Imap", setting="SecurePort"),
    )
    telemetry = resources.telemetry.protocol("imap", (*COMMANDS, UNKNOWN))
    return Service(
        "imap",
        listeners,
        telemetry,
        settings.limits(),
        resources.certificates.add("imap", settings.certificate()),
        BUSY,
        settings.workers > 1,
        content=resources.content,
    )


async def serve(_: int = 0) -> None:
    """Serve until a stop signal."""
    check_environment(ImapSettings)
    raise_open_files()
    async with (
        open_resources(ResourceSettings(), "relate-imap") as resources,
        Server(imap_service(load(ImapSettings), resources), supervisor=resources.supervisor),
    ):
        await stop_requested()


if __name__ == "__main__":
    run(serve, load(ImapSettings).workers)
