"""The relay as a separate process, and its composition root: only wiring is here."""

if __name__ == "__main__":  # first, because the imports below take a second, in which SIGTERM may arrive
    from relate_service.signals import block_signals

    block_signals()

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import structlog

from relate_config import ConfigurationError, load
from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.resolver import Resolver, parse_resolver
from relate_relay.attempt.connector import Connector, Login, Options
from relate_relay.attempt.requirement import Contexts
from relate_relay.attempt.sender import Sender
from relate_relay.dkim.key_directory import KeyDirectory
from relate_relay.dkim.signing_keys import DomainKeySource
from relate_relay.queue.attempter import Attempter
from relate_relay.queue.destinations import Destinations
from relate_relay.queue.policy_store import QueuedPolicyStore
from relate_relay.queue.rules import Rules
from relate_relay.queue.runner import Runner
from relate_relay.queue.schedule import Schedule, parse_retry
from relate_relay.routing.mta_sts import MtaSts, PolicyFetcher
from relate_relay.routing.ourselves import Ourselves
from relate_relay.routing.smarthost import parse_smarthosts
from relate_relay.routing.tls_policy import TlsLevel, parse_tls_policies
from relate_relay.traced import TracedAttempts, TracedDns
from relate_service.config import RelaySettings
from relate_service.health_port import answer_checks
from relate_service.resources import Resources, ResourceSettings, check_environment, open_resources
from relate_service.statistics import ExportedStatistics
from relate_service.workers import run, stop_requested
from relate_supervisor import Supervisor
from relate_wire.secret import Secret

log = structlog.get_logger(__name__)

HOUR_SECONDS = 3600.0


@asynccontextmanager
async def serve_relay(resources: Resources, server_name: str) -> AsyncIterator[Callable[[], bool]]:
    """Send queued mail inside the block. `server_name` is this system's name. Raises ConfigurationError.

    Yields whether the relay is healthy: it is disabled, or its runner runs and does not wait to be restarted.
    """
    settings = resources.relay
    if not settings.enabled:
        log.info("relay disabled", hint="Relay__Enabled=true lets users send mail to other servers")
        yield lambda: True
        return
    options = connection_options(settings, server_name)
    rules = _rules(settings, server_name, await resources.accounts.envelope_secret())
    async with AsyncExitStack() as stack:
        runner = _make_runner(resources, options, rules, stack)
        statistics = ExportedStatistics("relay.statistics", resources.queue.statistics, resources.supervisor)
        stack.push_async_callback(statistics.close)
        resources.telemetry.observe_queue(statistics.take)
        yield await stack.enter_async_context(_run(runner, resources.supervisor))


def _make_runner(resources: Resources, options: Options, rules: Rules, stack: AsyncExitStack) -> Runner:
    """The runner of the queue; `stack` closes what it uses."""
    attempts = resources.telemetry.attempts()
    traced, queue, supervisor = TracedAttempts(attempts), resources.traced_queue(), resources.supervisor
    keys = DomainKeySource(resources.accounts, KeyDirectory(resources.key_directory), unsigned=traced.unsigned)
    resolver = Resolver(parse_resolver(resources.relay.resolver))
    dns = TracedDns(resolver, attempts)
    policies = MtaSts(dns, PolicyFetcher(dns, private=options.private), QueuedPolicyStore(queue))
    for close in (resolver.close, policies.close, keys.close):
        stack.push_async_callback(close)
    connector = Connector(dns, policies, options, Contexts())
    destinations = Destinations(resources.relay.connections_per_destination)
    attempter = Attempter(queue, destinations, traced, keys, resources.suppressions, rules, supervisor)
    return Runner(queue, attempter, lambda domain: Sender(connector, domain), destinations, rules, supervisor)


@asynccontextmanager
async def _run(runner: Runner, supervisor: Supervisor) -> AsyncIterator[Callable[[], bool]]:
    """Run the queue inside the block. Yields whether the runner runs, and does not wait to be restarted."""
    stopping, running = asyncio.Event(), False

    async def run_queue() -> None:
        nonlocal running
        running = True
        try:
            await runner.run(stopping)
        finally:
            running = False

    task = supervisor.keep("relay.runner", run_queue, stopping)
    try:
        yield lambda: running
    finally:
        stopping.set()
        await task


def connection_options(settings: RelaySettings, server_name: str) -> Options:
    """The options of connections. Raises ConfigurationError naming the variable."""
    with _naming("Relay__Smarthost or Relay__SmarthostFor"):
        smarthosts = parse_smarthosts(settings.smarthost, settings.smarthost_for)
    with _naming("Relay__TlsPolicy"):
        tls_policies = parse_tls_policies(settings.tls_policy)
    with _naming("Relay__Resolver"):
        parse_resolver(settings.resolver)
    user, password = settings.smarthost_user, Secret(settings.smarthost_password)
    return Options(
        settings.helo_name or server_name,
        settings.mx_port,
        smarthosts,
        TlsLevel(settings.smarthost_tls),
        Login(user, password) if user else None,
        tls_policies,
        PrivateDestinations(settings.private_destinations),
        Ourselves.known_as([server_name, settings.helo_name]),
    )


def _rules(settings: RelaySettings, server_name: str, envelope_secret: bytes) -> Rules:
    with _naming("Relay__Retry"):
        retry = parse_retry(settings.retry)
    schedule = Schedule(retry, settings.max_age_hours * HOUR_SECONDS, settings.delay_notice_hours * HOUR_SECONDS)
    name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    return Rules(name, server_name, schedule, settings.takeover_seconds, envelope_secret=envelope_secret)


@contextmanager
def _naming(variable: str) -> Iterator[None]:
    """Name the variable of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ConfigurationError(f"{variable}: {error}") from None


async def serve(_: int = 0) -> None:
    """Serve until SIGTERM or SIGINT."""
    check_environment()
    settings = ResourceSettings()
    if settings.relay.enabled and not settings.relay.helo_name:
        raise ConfigurationError("Relay__HeloName is needed: the name of this system in EHLO and in reports")
    port, shared = settings.relay.health_port, settings.relay.workers > 1
    async with (
        open_resources(settings, "relate-relay") as resources,
        serve_relay(resources, settings.relay.helo_name) as is_healthy,
        answer_checks(port, is_healthy, "Relay__HealthPort", shared=shared),
    ):
        await stop_requested()


if __name__ == "__main__":
    run(serve, load(RelaySettings).workers)
