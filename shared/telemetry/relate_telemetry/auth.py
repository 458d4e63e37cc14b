"""Logins: a span `{source}.auth.validate` and two counts for each, whichever protocol they came by."""

from collections.abc import Callable
from typing import NamedTuple

from opentelemetry.metrics import Meter
from opentelemetry.trace import Span, Tracer, get_current_span
from opentelemetry.util.types import AttributeValue

from relate_telemetry.current_span import SpanScope
from relate_telemetry.links import add_link
from relate_telemetry.metrics import AuthMetrics
from relate_telemetry.names import SourceName, auth_keys, auth_span
from relate_telemetry.public_endpoint import claimed_traceparent


class Authentication:
    """The logins of one source.

    with authentication.validate("alice@example.org") as attempt:
        …
        attempt.finish(success=True, cache_hit=True, key_name="laptop")
    """

    def __init__(
        self, source: SourceName, tracer: Tracer, meter: Meter, user_names: Callable[[str | None], str | None]
    ) -> None:
        self.keys = auth_keys(source)
        self.metrics = AuthMetrics(meter, source)
        self._span_name = auth_span(source)
        self._tracer = tracer
        self._user_names = user_names

    def validate(self, user: str | None) -> "Attempt":
        """Begin an attempt; `user` is the name as it was given, None where a key comes alone."""
        name = self._user_names(user)
        attributes: dict[str, AttributeValue] = {} if name is None else {self.keys.user: name}
        traceparent = claimed_traceparent()
        claim = Claim(get_current_span(), traceparent) if traceparent is not None else None
        return Attempt(self, self._tracer.start_span(self._span_name, attributes=attributes), claim)


class Claim(NamedTuple):
    """The trace that a client says its request belongs to, and the span of that request."""

    request: Span
    traceparent: str


class Attempt(SpanScope):
    """One login. A refused one is the client's mistake, and no error; one left without `finish` counts as failed."""

    __slots__ = ("_authentication", "_claim", "_finished")

    def __init__(self, authentication: Authentication, span: Span, claim: Claim | None) -> None:
        super().__init__(span)
        self._authentication = authentication
        self._claim = claim
        self._finished = False

    def finish(
        self,
        *,
        success: bool,
        cache_hit: bool = False,
        rate_limited: bool = False,
        failure_reason: str | None = None,
        key_name: str | None = None,
    ) -> None:
        """The verdict: `failure_reason` is from a fixed table, `key_name` the matched key's name, never the key."""
        self._finished = True
        keys = self._authentication.keys
        attributes: dict[str, AttributeValue] = {
            keys.success: success,
            keys.cache_hit: cache_hit,
            keys.rate_limited: rate_limited,
        }
        if failure_reason is not None:
            attributes[keys.failure_reason] = failure_reason
        if key_name is not None:
            attributes[keys.key_name] = key_name
        self.span.set_attributes(attributes)
        self._authentication.metrics.record(success)
        if success and self._claim is not None:
            add_link(*self._claim)

    def _leave(self, error: BaseException | None) -> None:
        if not self._finished:
            self.finish(success=False)
        super()._leave(error)
