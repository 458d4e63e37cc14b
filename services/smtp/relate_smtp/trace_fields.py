"""The trace fields that are put before a message: Return-Path and Received (RFC 5321 §4.4).

What the client said stands in them, so nothing comes here but what the grammar of `paths` let through.
"""

from email.utils import formatdate
from functools import lru_cache

from relate_smtp.paths import address_literal

# RFC 5322 §2.1.1: what a line should not exceed; a single long word still may.
MAX_COLUMNS = 78

# The first half of the field is the same for all messages of a session; a kilobyte each, at most.
REMEMBERED = 1024


def return_path(sender: str) -> bytes:
    """Where a report about the message would go."""
    return f"Return-Path: <{sender}>\r\n".encode()


def received(came: str, transaction_id: str, recipient: str, when: float) -> bytes:
    """One Received field, folded. `came` is from `how_it_came`, `when` in seconds since the epoch.

    `recipient` is empty where there were several: one is not to learn of the others (RFC 5321 §7.2).
    """
    for_clause = f"\r\n\tfor <{recipient}>" if recipient else ""
    return f"{came}\tid {transaction_id}{for_clause};\r\n\t{date_time(int(when))}\r\n".encode()


@lru_cache(maxsize=REMEMBERED)
def how_it_came(name: str, address: str, server_name: str, tls: str, spoken: str) -> str:
    """The clauses `from`, `by` and `with`. `name` is what the client called itself, `spoken` is from `protocol`."""
    return fold(
        "Received:",
        f"from {name}",
        f"({address_literal(address)})" if address else "",
        f"by {server_name}",
        f"({tls})" if tls else "",
        f"with {spoken}",
    )


def protocol(*, extended: bool, utf8: bool, secure: bool, authenticated: bool) -> str:
    """The value of the `with` clause (RFC 3848, RFC 6531 §4.3)."""
    if not extended:
        return "SMTP"
    return ("UTF8SMTP" if utf8 else "ESMTP") + ("S" if secure else "") + ("A" if authenticated else "")


@lru_cache(maxsize=8)
def date_time(second: int) -> str:
    """A date-time of RFC 5322 §3.3, in UTC; cached, as to format one costs more than the rest of the field."""
    return formatdate(second, usegmt=True).replace("GMT", "+0000")


def fold(name: str, *clauses: str) -> str:
    """A header field, folded between its clauses where a line would become too long; empty clauses are left out."""
    lines = [name]
    for clause in filter(None, clauses):
        if len(lines[-1]) + len(clause) < MAX_COLUMNS:
            lines[-1] += f" {clause}"
        else:
            lines.append(f"\t{clause}")
    return "\r\n".join(lines) + "\r\n"
