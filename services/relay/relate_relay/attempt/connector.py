"""Connects to the servers of a domain, one after another. Awaits the DNS and connections."""

import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.names import HostPort
from relate_outbound.dns.ports import Dns
from relate_relay.attempt.failure import Failure, failed_connection, unroutable
from relate_relay.attempt.policy_result import PolicySession, tell_fault
from relate_relay.attempt.requirement import Contexts, Requirement, TlsUnavailable, requirement
from relate_relay.client.connection import Connection, open_connection
from relate_relay.client.errors import ClientError, Refused, TlsFailed
from relate_relay.client.observer import NO_OBSERVER, Observer
from relate_relay.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from relate_relay.routing.endpoints import Endpoint, endpoints
from relate_relay.routing.mta_sts import Lookup
from relate_relay.routing.mx import Route, find_route, smarthost_route
from relate_relay.routing.ourselves import Ourselves
from relate_relay.routing.smarthost import Smarthosts, parse_smarthosts
from relate_relay.routing.tls_policy import TlsLevel, TlsPolicies, parse_tls_policies
from relate_relay.routing.unroutable import Unroutable
from relate_wire.secret import Secret

SMTP_PORT = 25
IMPLICIT_TLS_PORT = 465
"""Submission with TLS from the first octet (RFC 8314 §7.3)."""


class Policies(Protocol):
    """Finds MTA-STS policies: `routing.mta_sts.MtaSts`."""

    async def find(self, domain: str) -> Lookup:
        """The policy of a domain."""


class Login(NamedTuple):
    """The login at the default smarthost. Others do not get it."""

    user: str
    password: Secret[str]


@dataclass(frozen=True, slots=True)
class Options:
    """What the administrator decided. `client_name` is the name in EHLO."""

    client_name: str
    mx_port: int = SMTP_PORT
    smarthosts: Smarthosts = field(default_factory=parse_smarthosts)
    smarthost_level: TlsLevel = TlsLevel.VERIFY
    login: Login | None = None
    tls_policies: TlsPolicies = field(default_factory=lambda: parse_tls_policies(""))
    private: PrivateDestinations = PrivateDestinations.REFUSE
    ourselves: Ourselves = field(default_factory=Ourselves)
    timeouts: Timeouts = DEFAULT_TIMEOUTS


@dataclass(frozen=True, slots=True)
class Server:
    """A connection that is ready for a message, and where it leads."""

    endpoint: Endpoint
    connection: Connection


@dataclass(frozen=True, slots=True)
class _Destination:
    route: Route
    port: int
    requirement: Requirement
    login: Login | None = None


class Connector:
    """Connects to destinations."""

    def __init__(self, dns: Dns, policies: Policies, options: Options, contexts: Contexts | None = None) -> None:
        self._dns = dns
        self._policies = policies
        self._options = options
        self._contexts = contexts or Contexts()

    async def servers(self, domain: str, observer: Observer = NO_OBSERVER) -> AsyncGenerator[Server | Failure, None]:
        """Yield each server of a domain in turn, or why it cannot be used; at least one item.

        `domain` is in A-labels, or an address literal. The next server is only tried when the next item is requested.
        The caller closes the connections.
        """
        destination = await self._find(domain, observer)
        if isinstance(destination, Unroutable):
            yield unroutable(destination)
            return
        options = self._options
        found = endpoints(
            self._dns, destination.route, destination.port, ourselves=options.ourselves, private=options.private
        )
        async for endpoint in found:
            if isinstance(endpoint, Unroutable):
                yield unroutable(endpoint)
                continue
            session = PolicySession(destination.requirement.policy, endpoint.host, observer)
            try:
                connection = await self._connect(endpoint, destination, observer, session)
            except ClientError as error:
                session.tell(error)
                yield failed_connection(error, endpoint)
            else:
                yield Server(endpoint, connection)

    async def _find(self, domain: str, observer: Observer) -> _Destination | Unroutable:
        options = self._options
        smarthost = options.smarthosts.find(domain)
        if smarthost is not None:
            level = options.tls_policies.find(smarthost.host) or options.smarthost_level
            login = options.login if smarthost == options.smarthosts.default else None
            return _smarthost(domain, smarthost, level, login)
        route = await find_route(self._dns, domain, ourselves=options.ourselves)
        if isinstance(route, Unroutable):
            return route
        rule = options.tls_policies.find(domain)
        if rule is not None:
            return _Destination(route, options.mx_port, requirement(rule, None))
        lookup = await self._policies.find(domain)
        tell_fault(lookup, observer)
        return _Destination(route, options.mx_port, requirement(None, lookup.policy))

    async def _connect(
        self, endpoint: Endpoint, destination: _Destination, observer: Observer, session: PolicySession
    ) -> Connection:
        """Connect, with TLS where it is required or offered, and log in. Raises ClientError."""
        needed = destination.requirement
        if needed.refuses(endpoint.host):
            raise TlsUnavailable(f"the MTA-STS policy of the domain does not name its server {endpoint.host}")
        handshakes = needed.handshakes(self._contexts, endpoint.host)
        for context in handshakes:
            try:
                connection = await self._open(endpoint, context, observer, may_be_plain=None in handshakes)
            except TlsFailed as failed:
                session.tell(failed)
                if context is handshakes[-1]:
                    raise
                continue
            session.tell(connection.security)
            if destination.login is not None:
                await _log_in(connection, destination.login)
            return connection
        raise TlsUnavailable("no handshake was tried")  # there is always one

    async def _open(
        self, endpoint: Endpoint, context: ssl.SSLContext | None, observer: Observer, *, may_be_plain: bool
    ) -> Connection:
        implicit = context if endpoint.port == IMPLICIT_TLS_PORT else None
        connection = await open_connection(
            str(endpoint.address),
            endpoint.port,
            timeouts=self._options.timeouts,
            tls=implicit,
            server_hostname=endpoint.host,
            observer=observer,
        )
        try:
            await connection.greet(self._options.client_name)
            if context is not None and not connection.is_secure:
                await _start_tls(connection, context, endpoint.host, may_be_plain=may_be_plain)
        except BaseException:
            connection.abort()
            raise
        return connection


def _smarthost(domain: str, host: HostPort, level: TlsLevel, login: Login | None) -> _Destination:
    return _Destination(smarthost_route(domain, host.host), host.port, Requirement(level), login)


async def _start_tls(connection: Connection, context: ssl.SSLContext, host: str, *, may_be_plain: bool) -> None:
    """Start TLS if the server offers it. Raises ClientError; TlsUnavailable if it does not, but must."""
    if connection.capabilities.starttls:
        try:
            await connection.start_tls(context, host)
        except Refused:
            if not may_be_plain:
                raise
    elif not may_be_plain:
        raise TlsUnavailable(f"the server {host} does not offer TLS, which is required")


async def _log_in(connection: Connection, login: Login) -> None:
    try:
        await connection.log_in(login.user, login.password)
    except BaseException:
        connection.abort()
        raise
