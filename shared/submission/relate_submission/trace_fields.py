"""The trace fields that are prepended to a message: Return-Path and Received (RFC 5321 §4.4).

They contain the client's input. The grammar of `paths` ensures that it cannot inject fields.
"""

from email.utils import formatdate
from functools import lru_cache

from relate_submission.paths import address_literal

# RFC 5322 §2.1.1: the length that a line SHOULD NOT exceed. A longer word is not broken.
MAX_LINE_CHARACTERS = 78

# The clauses are the same for all messages of a session. An entry has at most a kilobyte.
CACHED_CLAUSES = 1024


def return_path_field(sender: str) -> bytes:
    """The Return-Path field: the address for delivery reports."""
    return f"Return-Path: <{sender}>\r\n".encode()


def received_field(clauses: str, transaction_id: str, recipient: str, when: float) -> bytes:
    """A Received field, folded. `clauses` is from `received_clauses`, `when` in seconds since the epoch.

    `recipient` is empty if there are several, because none may learn of the others (RFC 5321 §7.2).
    """
    for_clause = f"\r\n\tfor <{recipient}>" if recipient else ""
    return f"{clauses}\tid {transaction_id}{for_clause};\r\n\t{date_time(int(when))}\r\n".encode()


@lru_cache(maxsize=CACHED_CLAUSES)
def received_clauses(client_name: str, address: str, server_name: str, tls: str, protocol: str) -> str:
    """The field's name, and the clauses `from`, `by` and `with`. `protocol` is from `protocol_name`."""
    return fold(
        "Received:",
        f"from {client_name}",
        f"({address_literal(address)})" if address else "",
        f"by {server_name}",
        f"({tls})" if tls else "",
        f"with {protocol}",
    )


def protocol_name(*, extended: bool, utf8: bool, secure: bool, authenticated: bool) -> str:
    """The value of the `with` clause (RFC 3848, RFC 6531 §4.3)."""
    if not extended:
        return "SMTP"
    return ("UTF8SMTP" if utf8 else "ESMTP") + ("S" if secure else "") + ("A" if authenticated else "")


@lru_cache(maxsize=8)
def date_time(second: int) -> str:
    """A date-time of RFC 5322 §3.3, in UTC. Cached, because formatting it costs more than the rest of the field."""
    return formatdate(second, usegmt=True).replace("GMT", "+0000")


def fold(name: str, *clauses: str) -> str:
    """A header field, folded between clauses where a line would be too long. Empty clauses are omitted."""
    lines = [name]
    for clause in filter(None, clauses):
        if len(lines[-1]) + len(clause) < MAX_LINE_CHARACTERS:
            lines[-1] += f" {clause}"
        else:
            lines.append(f"\t{clause}")
    return "\r\n".join(lines) + "\r\n"
