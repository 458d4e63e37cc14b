"""Traces and counts attempts: decorators of the client's observer and of the DNS, on `relate_telemetry`."""

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self, TypeVar

from relate_mailstore.queue_types import Claimed, QueueState
from relate_outbound.dns.names import IPAddress
from relate_outbound.dns.ports import Dns, DnsError, MxRecord, Records
from relate_relay.attempt.sender import Result
from relate_relay.client.observer import Observer, Step
from relate_relay.client.replies import ServerReply
from relate_relay.client.results import Outcome
from relate_relay.dkim.signing_keys import Unsigned
from relate_relay.queue.settlement import Settled
from relate_telemetry.attempts import Attempt, Attempts
from relate_telemetry.attempts import Step as StepSpan
from relate_telemetry.names import (
    RELAY_QUESTION,
    RELAY_QUESTION_TYPE,
    RELAY_RECORDS,
    RELAY_TLS_VERIFIED,
    TLS_CIPHER,
    TLS_ESTABLISHED,
    TLS_PROTOCOL_NAME,
    TLS_PROTOCOL_VERSION,
)
from relate_wire.tls import iana_cipher

T = TypeVar("T")

_OUTCOMES: Mapping[QueueState, str] = {QueueState.DELIVERED: "accepted", QueueState.FAILED: "failed"}


class TracedSteps:
    """`client.observer.Observer`: each step is a child of the attempt, which is the current one."""

    def __init__(self, attempts: Attempts, attempt: Attempt) -> None:
        self._attempts = attempts
        self._attempt = attempt
        self._handshake: StepSpan | None = None

    def connect(self, address: str, port: int) -> AbstractContextManager[Step]:
        """See `Observer.connect`."""
        step = self._attempts.step("connect", {"network.peer.address": address, "network.peer.port": port})
        return _TracedStep(step)

    def tls(self) -> AbstractContextManager[Step]:
        """See `Observer.tls`."""
        self._handshake = self._attempts.step("tls")
        return _TracedStep(self._handshake)

    def tls_established(self, version: str, cipher: str, verified: bool) -> None:
        """See `Observer.tls_established`."""
        if self._handshake is not None:
            self._handshake.set(
                {
                    TLS_ESTABLISHED: True,
                    TLS_PROTOCOL_NAME: "tls",
                    TLS_PROTOCOL_VERSION: version,
                    TLS_CIPHER: iana_cipher(cipher),
                    RELAY_TLS_VERIFIED: verified,
                }
            )

    def policy_applied(self, mode: str, result: str) -> None:
        """See `Observer.policy_applied`."""
        self._attempt.sts_session(mode, result)

    def command(self, verb: str) -> AbstractContextManager[Step]:
        """See `Observer.command`."""
        return _TracedStep(self._attempts.step(f"command.{verb.lower()}"))


class _TracedStep(AbstractContextManager["_TracedStep"]):
    """A step, entered and left with its span. No generator, because each message has four."""

    def __init__(self, span: StepSpan) -> None:
        self._span = span

    def __enter__(self) -> Self:
        self._span.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._span.__exit__(kind, error, trace)

    def replied(self, reply: ServerReply) -> None:
        self._span.replied(str(reply.code), reply.enhanced, str(reply))

    def failed(self, reason: str) -> None:
        self._span.failed(reason)


class TracedDns:
    """`Dns` with a span for each question; one that is answered from the cache, too."""

    def __init__(self, dns: Dns, attempts: Attempts) -> None:
        self._dns = dns
        self._attempts = attempts

    async def mx(self, domain: str) -> Records[MxRecord]:
        """See `Dns.mx`."""
        return await self._ask("mx", domain, self._dns.mx(domain))

    async def addresses(self, host: str) -> Records[IPAddress]:
        """See `Dns.addresses`."""
        return await self._ask("address", host, self._dns.addresses(host))

    async def txt(self, name: str) -> Records[bytes]:
        """See `Dns.txt`."""
        return await self._ask("txt", name, self._dns.txt(name))

    async def ptr(self, address: IPAddress) -> Records[str]:
        """See `Dns.ptr`; asked by an administrator only, so it is not traced."""
        return await self._dns.ptr(address)

    async def _ask(self, kind: str, name: str, answer: Awaitable[Records[T]]) -> Records[T]:
        with self._attempts.step("dns", {RELAY_QUESTION: name, RELAY_QUESTION_TYPE: kind}) as step:
            try:
                records = await answer
            except DnsError as error:
                step.failed(error.fault.value)
                raise
            step.set({RELAY_RECORDS: len(records.items)})
            return records


class TracedAttempt:
    """An attempt that runs: `observer` traces its steps. The ids are in hexadecimal, empty without telemetry."""

    def __init__(self, span: Attempt, attempts: Attempts) -> None:
        self.observer: Observer = TracedSteps(attempts, span)
        self.trace_id = span.trace_id
        self.span_id = span.span_id
        self._span = span

    def finish(self, results: Sequence[Result]) -> None:
        """Record the results, at least one. The code and the server are those of the first that is not accepted."""
        outcomes = {each.outcome for each in results}
        outcome = outcomes.pop().value if len(outcomes) == 1 else "mixed"
        deciding = next((each for each in results if each.outcome is not Outcome.ACCEPTED), results[0])
        self._span.finish(outcome, deciding.status, deciding.endpoint.host if deciding.endpoint else "")

    def measure(
        self, recipients: Sequence[Claimed], results: Sequence[Result], settled: Sequence[Settled], now: float
    ) -> None:
        """Record what became of the recipients; `now` is when the results were known, in seconds since the epoch.

        A message that several servers accepted, each for some of the recipients, is counted for each of them.
        """
        for claimed, result, decided in zip(recipients, results, settled, strict=True):
            outcome = _OUTCOMES.get(decided.result.state, "deferred")
            self._span.count(outcome, result.reply_code, decided.result.status)
            if outcome == "accepted":
                self._span.delivered(now - claimed.arrived)
        accepted = {each.endpoint: each.security for each in results if each.outcome is Outcome.ACCEPTED}
        for security in accepted.values():
            self._span.sent(security.value)


class TracedAttempts:
    """The attempts of a runner, each a trace of its own."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    @contextmanager
    def attempt(self, domain: str, recipients: int, origins: Iterable[str | None]) -> Iterator[TracedAttempt]:
        """Trace an attempt, linked to the transactions that brought the message: their traceparents."""
        with self._attempts.attempt(domain, recipients, origins) as span:
            yield TracedAttempt(span, self._attempts)

    def unsigned(self, reason: Unsigned) -> None:
        """Record that the message of the current attempt gets no signature."""
        self._attempts.unsigned(reason.value)
