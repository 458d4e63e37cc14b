"""Whether the services on this machine do their work: `python -m relate_service.health smtp:2587 http:8080`.

For the health checks of containers. Started every few seconds for ever, so it imports next to nothing. It leaves a mail
server as soon as that has greeted: a QUIT would be counted among the clients' commands.
"""

import socket
import sys

# A service that needs longer to say something is in trouble; health checks are killed after 3 s.
TIMEOUT_SECONDS = 2.0
# What is read of an answer: more than any greeting's first words.
MAX_ANSWER_OCTETS = 512

# What each protocol answers when all is well (RFC 5321 §3.1, RFC 1939 §4, RFC 9051 §7.1.1, RFC 9112 §4).
ANSWERS = {"smtp": b"220 ", "pop3": b"+OK ", "imap": b"* OK ", "http": b"HTTP/1.1 200 "}
READY = b"GET /healthz/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def check(protocol: str, port: int) -> str | None:
    """What is wrong with the service on this port, None when nothing is."""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
            if protocol == "http":
                connection.sendall(READY)
            answer = connection.recv(MAX_ANSWER_OCTETS)
    except OSError as error:
        return f"{protocol}:{port}: {error}"
    return None if answer.startswith(ANSWERS[protocol]) else f"{protocol}:{port}: {answer[:40]!r}"


def main(services: list[str]) -> str | None:
    """What is wrong with any of them, each given as `protocol:port`; None when nothing is."""
    pairs = (each.partition(":") for each in services)
    return "\n".join(filter(None, (check(protocol, int(port)) for protocol, _, port in pairs))) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
