"""Telemetry of logins: a span `{source}.auth.validate` and two counters, for all protocols and the API."""

from collections.abc import Callable
from typing import NamedTuple

from opentelemetry.trace import Span, Tracer, get_current_span
from opentelemetry.util.types import AttributeValue

from relate_telemetry.current_span import CurrentSpan
from relate_telemetry.links import add_link
from relate_telemetry.metrics import AuthMetrics, Instruments
from relate_telemetry.names import NOT_AN_ADDRESS, SourceName, auth_keys, auth_span
from relate_telemetry.public_endpoint import request_traceparent
from relate_telemetry.spans import make_template


class Authentication:
    """The logins of one source.

    with authentication.validate("alice@example.org") as attempt:
        …
        attempt.finish(success=True, cache_hit=True, key_name="laptop")
    """

    def __init__(
        self,
        source: SourceName,
        tracer: Tracer,
        instruments: Instruments,
        user_names: Callable[[str | None], str | None],
    ) -> None:
        self.keys = auth_keys(source)
        self.metrics = AuthMetrics(instruments, source)
        self._template = make_template(tracer, auth_span(source))
        self._user_names = user_names

    def validate(self, user: str | None) -> "Attempt":
        """Start the span of a login; `user` is the name that the client gave, None for a key without a name."""
        attributes = {} if user is None else self.user_attributes(user)
        traceparent = request_traceparent()
        parent = RemoteParent(get_current_span(), traceparent) if traceparent is not None else None
        return Attempt(self, self._template.start_here(attributes), parent)

    def user_attributes(self, user: str) -> dict[str, AttributeValue]:
        """The attribute of a login name. A name without "@" may be a key in the wrong field, so it is not shown."""
        name = self._user_names(user) if "@" in user else NOT_AN_ADDRESS
        return {} if name is None else {self.keys.user: name}


class RemoteParent(NamedTuple):
    """The span of a request, and the traceparent that the client sent with it."""

    request: Span
    traceparent: str


class Attempt(CurrentSpan):
    """One login. A refused login is no error; an attempt that exits without `finish` counts as failed."""

    finished = False

    def __init__(self, authentication: Authentication, span: Span, remote_parent: RemoteParent | None) -> None:
        super().__init__(span)
        self._authentication = authentication
        self._remote_parent = remote_parent

    def finish(
        self,
        *,
        success: bool,
        cache_hit: bool = False,
        rate_limited: bool = False,
        failure_reason: str | None = None,
        key_name: str | None = None,
        owner: str | None = None,
    ) -> None:
        """Record the verdict. `failure_reason` is from a fixed table; `key_name` is the key's name, never the key.

        `owner` is the address of the user whose key was accepted without a login name.
        """
        self.finished = True
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
        if owner is not None:
            attributes |= self._authentication.user_attributes(owner)
        self.span.set_attributes(attributes)
        self._authentication.metrics.record(success, self.span)
        if success and self._remote_parent is not None:
            add_link(*self._remote_parent)

    def exit_early(self, error: BaseException | None) -> None:
        """See `CurrentSpan.exit_early`."""
        if not self.finished:
            self.finish(success=False)
        super().exit_early(error)
