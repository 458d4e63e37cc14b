"""The IMAP server as a process of its own, and how it is put together. Wiring, and nothing else."""

if __name__ == "__main__":  # before all else: what is imported below takes a second, and a stop may come meanwhile
    from relate_service.signals import block_signals

    block_signals()

from relate_config import load
from relate_imap.config import ImapSettings
from relate_imap.context import Context, SessionLimit
from relate_imap.framing import Frame
from relate_imap.offload import in_threads
from relate_imap.replies import BUSY
from relate_imap.select_span import traced_selecting
from relate_imap.session import ImapEngine
from relate_service.resources import Resources, ResourceSettings, check_environment, open_resources
from relate_service.workers import run, stop_requested
from relate_wire.driver import Listener, Service
from relate_wire.limits import raise_open_files
from relate_wire.ports import Client
from relate_wire.server import Server


def imap_service(settings: ImapSettings, resources: Resources) -> Service:
    """IMAP on its two ports: STARTTLS on one, TLS from the first octet on the other. Raises CertificateError."""
    store, authenticator = resources.traced("imap")
    context = Context(
        store=store,
        authenticator=authenticator,
        server_name=settings.server_name,
        append_limit=min(settings.max_message_size_bytes, resources.content.largest),
        sessions=SessionLimit(settings.max_connections_per_user),
        allows_plaintext=settings.allows_plaintext,
        starttls_available=True,
        selecting=traced_selecting(resources.telemetry.operations("imap")),
        aside=in_threads(),
    )

    def engine(client: Client[Frame]) -> ImapEngine:
        return ImapEngine(client, context)

    listeners = (
        Listener(settings.host, settings.port, engine, prefix="Imap", setting="Port"),
        Listener(settings.host, settings.secure_port, engine, implicit_tls=True, prefix="Imap", setting="SecurePort"),
    )
    telemetry = resources.telemetry.protocol("imap")
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
    """Serve until asked to stop."""
    check_environment(ImapSettings)
    raise_open_files()
    async with (
        open_resources(ResourceSettings(), "relate-imap") as resources,
        Server(imap_service(load(ImapSettings), resources), supervisor=resources.supervisor),
    ):
        await stop_requested()


if __name__ == "__main__":
    run(serve, load(ImapSettings).workers)
