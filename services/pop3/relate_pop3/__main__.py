"""The POP3 server as a separate process, and its composition root: only wiring is here."""

if __name__ == "__main__":  # first, because the imports below take a second, in which SIGTERM may arrive
    from relate_service.signals import block_signals

    block_signals()

from relate_config import load
from relate_pop3.commands import UNKNOWN
from relate_pop3.config import Pop3Settings
from relate_pop3.context import Context
from relate_pop3.replies import BUSY
from relate_pop3.session import COMMANDS, Pop3Engine
from relate_service.resources import Resources, ResourceSettings, check_environment, open_resources
from relate_service.workers import run, stop_requested
from relate_wire.driver import Listener, Service
from relate_wire.limits import raise_open_files
from relate_wire.lines import Line
from relate_wire.ports import Client
from relate_wire.server import Server


def pop3_service(settings: Pop3Settings, resources: Resources, *, starttls: bool = True) -> Service:
    """POP3 on its two ports, one with STLS, unless `starttls` is False, and one with implicit TLS.

    Raises CertificateError.
    """
    store, authenticator = resources.traced("pop3")
    context = Context(
        store=store,
        authenticator=authenticator,
        server_name=settings.server_name,
        allows_plaintext=settings.allows_plaintext,
        starttls_available=starttls,
    )

    def engine(client: Client[Line]) -> Pop3Engine:
        return Pop3Engine(client, context)

    listeners = (
        Listener(settings.host, settings.port, engine, prefix="Pop3", setting="Port"),
        Listener(settings.host, settings.secure_port, engine, implicit_tls=True, prefix="Pop3", setting="SecurePort"),
    )
    telemetry = resources.telemetry.protocol("pop3", (*COMMANDS, UNKNOWN))
    return Service(
        "pop3",
        listeners,
        telemetry,
        settings.limits(),
        resources.certificates.add("pop3", settings.certificate()),
        BUSY,
        settings.workers > 1,
        content=resources.content,
    )


async def serve(_: int = 0) -> None:
    """Serve until SIGTERM or SIGINT."""
    check_environment(Pop3Settings)
    raise_open_files()
    async with (
        open_resources(ResourceSettings(), "relate-pop3") as resources,
        Server(pop3_service(load(Pop3Settings), resources), supervisor=resources.supervisor),
    ):
        await stop_requested()


if __name__ == "__main__":
    run(serve, load(Pop3Settings).workers)
