"""How long after the 250 of a message the API answers a request that waits for it.

    python -m tests.bench.wait_latency [--messages 500] [--others 0]

Prints the percentiles, from the client's receipt of the 250 to its receipt of the whole answer, in milliseconds. A
negative value means that the answer came first. `--others` requests wait for other mailboxes meanwhile. Client and
server share the machine.
"""

import argparse
import http.client
import json
import smtplib
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from statistics import quantiles

from relate_mail.testing import RelateProcess, Server

CONTENT = b"From: app@example.org\r\nSubject: %d\r\n\r\nYour code is 123456.\r\n"
WAIT_SECONDS = 60
WARM_UP_MESSAGES = 20
MIN_WAITING_SECONDS = 0.02  # between the request and the message, so that it waits by then


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--others", type=int, default=0)
    options = parser.parse_args()
    settings = {"OTEL_SDK_DISABLED": "true", "Api__MaxConnections": str(options.others + 100)}
    with RelateProcess(settings=settings) as server, ExitStack() as stack:
        for number in range(options.others):
            stack.enter_context(closing(_request(server, f"other{number}@example.test")))
        latencies = sorted(_measure(server, options.messages + WARM_UP_MESSAGES)[WARM_UP_MESSAGES:])
    cuts = quantiles([1_000 * each for each in latencies], n=100)
    print(
        f"{len(latencies)} messages, {options.others} other waiting requests: "
        f"p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, max {1_000 * latencies[-1]:.1f} ms"
    )


def _measure(server: Server, messages: int) -> list[float]:
    """The seconds from each 250 to the answer."""
    latencies = []
    with smtplib.SMTP(server.host, server.ports.mx) as client:
        client.ehlo()
        for number in range(messages):
            address = f"user{number}@example.test"
            with _waiting(server, address) as answered:
                time.sleep(MIN_WAITING_SECONDS)
                client.mail("app@example.org")
                client.rcpt(address)
                code, reply = client.data(CONTENT % number)
                accepted = time.perf_counter()
                if code != 250:
                    raise RuntimeError(reply.decode())
            latencies.append(answered[0] - accepted)
    return latencies


def _request(server: Server, address: str) -> http.client.HTTPConnection:
    """A connection whose request waits for a message of an address."""
    connection = http.client.HTTPConnection(server.host, server.ports.http, timeout=2 * WAIT_SECONDS)
    headers = {"Authorization": f"Bearer {address}"}
    connection.request("GET", f"/api/wait?timeout={WAIT_SECONDS}", headers=headers)
    return connection


@contextmanager
def _waiting(server: Server, address: str) -> Iterator[list[float]]:
    """A request that waits; at the end the list has the time of the answer, if that was the message."""
    answered: list[float] = []

    def read() -> None:
        answer = json.loads(connection.getresponse().read())
        if "123456" in answer.get("codes", ()):
            answered.append(time.perf_counter())

    with closing(_request(server, address)) as connection:
        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield answered
        finally:
            thread.join()


if __name__ == "__main__":
    main()
