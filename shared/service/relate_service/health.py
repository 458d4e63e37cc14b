"""Checks the health of services on this machine: `python -m relate_service.health smtp:2587 http:8080 relay:8025`.

For container health checks, which start it every few seconds, so it imports little. It disconnects from a mail server
after the greeting, because a QUIT would count as a client's command.
"""

import socket
import sys

# Docker kills the check after 3 s.
TIMEOUT_SECONDS = 2.0
# Longer than the beginning of any greeting.
MAX_ANSWER_OCTETS = 512

# How a healthy service's answer begins (RFC 5321 §3.1, RFC 1939 §4, RFC 9051 §7.1.1, RFC 9112 §4; `health_port`).
ANSWERS = {"smtp": b"220 ", "pop3": b"+OK ", "imap": b"* OK ", "http": b"HTTP/1.1 200 ", "relay": b"running"}
READY = b"GET /healthz/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def check(protocol: str, port: int) -> str | None:
    """Check one service; returns an error message, None if it is healthy."""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
            if protocol == "http":
                connection.sendall(READY)
            answer = connection.recv(MAX_ANSWER_OCTETS)
    except OSError as error:
        return f"{protocol}:{port}: {error}"
    return None if answer.startswith(ANSWERS[protocol]) else f"{protocol}:{port}: {answer[:40]!r}"


def main(services: list[str]) -> str | None:
    """Check services given as `protocol:port`; returns the error messages, None if all are healthy."""
    pairs = (each.partition(":") for each in services)
    return "\n".join(filter(None, (check(protocol, int(port)) for protocol, _, port in pairs))) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
