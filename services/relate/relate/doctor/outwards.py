"""Whether other servers can be reached: port 25, or the smarthost. Connects as the relay does, and sends no mail."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from relate_outbound.dns.names import HostPort
from relate_outbound.dns.ports import Dns
from relate_relay.attempt.connector import Connector, Options, Server
from relate_relay.attempt.failure import Failure
from relate_relay.client.errors import ConnectFailed
from relate_relay.client.timeouts import Timeouts
from relate_relay.routing.domain_table import DomainTable
from relate_relay.routing.mta_sts import Lookup
from relate_relay.routing.smarthost import Smarthosts, parse_smarthosts
from relate_service.findings import Finding, error, listed, ok, warning

TIMEOUTS = Timeouts(connect_seconds=5.0, tls_seconds=10.0, greeting_seconds=15.0, other_seconds=10.0, quit_seconds=2.0)
"""Shorter than the relay's, because a person waits."""
MAX_SERVERS = 4
"""The addresses of a destination that are tried."""
DESTINATION_SECONDS = 30.0
"""The time for one destination, questions to the DNS included."""
UNREACHED = ConnectFailed.status
"""The status of a recipient in the queue whose destination could not be connected to."""

Reached = Server | Sequence[Failure]


class _NoPolicies:
    """No domain has an MTA-STS policy: whether a server can be reached does not depend on it."""

    async def find(self, domain: str) -> Lookup:
        return Lookup()


async def check_smarthosts(dns: Dns, options: Options) -> list[Finding]:
    """Connect to each smarthost: EHLO, TLS as the settings require it, and the login."""
    default, others = options.smarthosts.default, dict.fromkeys(options.smarthosts.by_domain.values())
    checks = [_check_smarthost(dns, options, each) for each in dict.fromkeys(filter(None, (default, *others)))]
    return list(await asyncio.gather(*checks))


async def _check_smarthost(dns: Dns, options: Options, smarthost: HostPort) -> Finding:
    login = options.login if smarthost == options.smarthosts.default else None
    options = replace(options, smarthosts=Smarthosts(smarthost, DomainTable({})), login=login)
    subject = f"smarthost {smarthost.host}:{smarthost.port}"
    reached = await _reach(dns, options, smarthost.host)
    if not isinstance(reached, Server):
        remedy = "correct Relay__Smarthost…, or ask its provider; mail waits in the queue until then"
        return error(subject, listed(failure.text for failure in reached), remedy)
    logged_in = ", and accepts the login" if login else ""
    return ok(subject, f"{reached.endpoint.address} answers {_security(reached)}{logged_in}")


async def check_port(dns: Dns, options: Options, domains: Sequence[str], *, chosen: bool) -> list[Finding]:
    """Connect to a server of each domain, until EHLO. `chosen` if an operator named the domains."""
    return [await _check_port(dns, options, domains, chosen=chosen)]


async def _check_port(dns: Dns, options: Options, domains: Sequence[str], *, chosen: bool) -> Finding:
    subject = f"port {options.mx_port} outwards"
    if not domains:
        remedy = "run: relate doctor --probe DOMAIN, with a domain whose servers certainly answer"
        return ok(subject, "not tested, because no mail waits for a server that cannot be reached", remedy)
    direct = replace(options, smarthosts=parse_smarthosts())
    results = await asyncio.gather(*(_reach(dns, direct, domain) for domain in domains))
    for domain, result in zip(domains, results, strict=True):
        if isinstance(result, Server):
            return ok(subject, f"open: {result.endpoint.host} of {domain} answers {_security(result)}")
    failures = [failure for result in results if not isinstance(result, Server) for failure in result]
    refused = next((failure for failure in failures if failure.reply is not None), None)
    if refused is not None:
        remedy = "its reply says why; a blocklist usually names the page to leave it"
        return warning(subject, f"open, but the server of another domain refuses: {refused.text}", remedy)
    text = listed(dict.fromkeys(failure.text for failure in failures))
    if any(failure.status != UNREACHED for failure in failures):
        return warning(subject, f"cannot tell: {text}", "run: relate doctor --probe DOMAIN, with another domain")
    if chosen or len(domains) > 1:
        remedy = "ask the provider of this machine to open the port, or set Relay__Smarthost"
        return error(subject, f"blocked, as it seems: {text}", remedy)
    remedy = "if another domain cannot be reached either, the port is blocked: relate doctor --probe DOMAIN"
    return warning(subject, f"{domains[0]} cannot be reached: {text}", remedy)


async def _reach(dns: Dns, options: Options, domain: str) -> Reached:
    """Connect to a server of a destination and disconnect; or why none can be used."""
    connector = Connector(dns, _NoPolicies(), replace(options, timeouts=TIMEOUTS))
    failures: list[Failure] = []
    try:
        async with asyncio.timeout(DESTINATION_SECONDS), aclosing(connector.servers(domain)) as servers:
            async for server in servers:
                if isinstance(server, Server):
                    await server.connection.quit()
                    return server
                failures.append(server)
                if len(failures) == MAX_SERVERS:
                    break
    except TimeoutError:
        failures.append(Failure(UNREACHED, f"{domain}: no answer within {DESTINATION_SECONDS:.0f} s", temporary=True))
    return failures


def _security(server: Server) -> str:
    return "over TLS" if server.connection.is_secure else "without TLS"
