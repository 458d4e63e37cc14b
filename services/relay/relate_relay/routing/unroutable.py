"""Why mail for a domain cannot go anywhere, now or at all. Pure."""

from dataclasses import dataclass

from relate_mime.printable import printable
from relate_outbound.dns.ports import DnsError


@dataclass(frozen=True, slots=True)
class Unroutable:
    """The enhanced code (RFC 3463), a sentence for the sender, and whether another attempt may succeed."""

    enhanced: str
    text: str
    temporary: bool


def bad_domain(domain: str) -> Unroutable:
    """The domain does not exist or is invalid (RFC 3463 §3.2: bad destination system address)."""
    return Unroutable("5.1.2", f"The domain {printable(domain)} does not exist", temporary=False)


def null_mx(domain: str) -> Unroutable:
    """The domain accepts no mail (RFC 7505 §4.2)."""
    return Unroutable("5.1.10", f"The domain {domain} accepts no mail", temporary=False)


def no_host(domain: str) -> Unroutable:
    """The domain's hosts have no address (RFC 3463 §3.5: unable to route)."""
    return Unroutable("5.4.4", f"No mail server of {domain} has an address", temporary=False)


def private_only(domain: str) -> Unroutable:
    """The domain's hosts have only addresses to which the relay does not connect; see `private`."""
    return Unroutable("5.4.4", f"The mail servers of {domain} have only private addresses", temporary=False)


def mail_loop(domain: str) -> Unroutable:
    """The best host of the domain is this one, which does not accept its mail (RFC 3463 §3.5: routing loop)."""
    return Unroutable("5.4.6", f"Mail for {domain} would come back to this server", temporary=False)


def dns_failed(domain: str, error: DnsError) -> Unroutable:
    """The DNS did not answer (RFC 3463 §3.5: directory server failure)."""
    text = f"The DNS gives no mail server of {domain} at present, because {error.fault.value}"
    return Unroutable("4.4.3", text, temporary=True)


def bad_smarthost(host: str) -> Unroutable:
    """The smarthost has no address, or is this system (RFC 3463 §3.4: system incorrectly configured).

    That is temporary, as in Postfix, because the administrator's mistake must not bounce all mail.
    """
    return Unroutable("4.3.5", f"The smarthost {host} cannot be used, because it is wrongly configured", temporary=True)
