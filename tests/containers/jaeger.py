"""A client of Jaeger's query API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

MAX_TRACES = 1000  # of one response: more than a test makes
TIMEOUT_SECONDS = 10.0
NO_TAGS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Span:
    """One span. `links` are the trace and span ids of its references except its parent."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    service: str
    instance: str
    seconds: float
    tags: dict[str, Any]
    links: frozenset[tuple[str, str]]

    @property
    def id(self) -> tuple[str, str]:
        """The trace and span id, as in a link."""
        return self.trace_id, self.span_id

    @classmethod
    def parse(cls, span: dict[str, Any], process: dict[str, Any]) -> Self:
        """Parse Jaeger's JSON."""
        trace_id = span["traceID"]
        references = [(each["refType"], each["traceID"], each["spanID"]) for each in span["references"]]
        parents = [span_id for kind, trace, span_id in references if kind == "CHILD_OF" and trace == trace_id]
        return cls(
            trace_id,
            span["spanID"],
            parents[0] if parents else None,
            span["operationName"],
            process["serviceName"],
            {tag["key"]: tag["value"] for tag in process["tags"]}["service.instance.id"],
            span["duration"] / 1e6,
            {tag["key"]: tag["value"] for tag in span["tags"]},
            frozenset((trace, span_id) for kind, trace, span_id in references if kind == "FOLLOWS_FROM"),
        )


class Trace(list[Span]):
    """All spans of one trace."""

    def named(self, name: str) -> list[Span]:
        return [span for span in self if span.name == name]

    def one(self, name: str) -> Span:
        """The only span of that name."""
        (span,) = self.named(name)
        return span

    def below(self, span: Span) -> Iterator[Span]:
        """Yield all descendants of a span."""
        for child in self:
            if child.parent_id == span.span_id:
                yield child
                yield from self.below(child)


class Jaeger:
    """A client of the query API at a URL."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS)

    def services(self) -> set[str]:
        """The services that sent spans."""
        return set(self._get("/api/services", {}) or ())

    def traces(
        self, service: str, operation: str | None = None, tags: Mapping[str, str] = NO_TAGS, since: float = 0.0
    ) -> list[Trace]:
        """Traces of a service with a span that has this name and these tags; `since` is a time of `time.time()`."""
        params: dict[str, Any] = {"service": service, "limit": str(MAX_TRACES), "start": str(int(since * 1e6))}
        if operation is not None:
            params["operation"] = operation
        named = [f"{name}:{value}" for name, value in tags.items()]
        return [_parse_trace(trace) for trace in self._get("/api/traces", {**params, "tag": named})]

    def trace(self, trace_id: str) -> Trace:
        """The spans of a trace that have arrived. Raises AssertionError if none has."""
        (trace,) = self._get(f"/api/traces/{trace_id}", {})
        return _parse_trace(trace)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _get(self, path: str, params: dict[str, Any]) -> Any:
        try:
            response = self._client.get(path, params=params)
        except httpx.TransportError as error:
            raise OSError(f"Jaeger: {error}") from None  # down, or starting: `eventually` retries
        assert response.is_success, response.text
        return response.json()["data"]


def _parse_trace(trace: dict[str, Any]) -> Trace:
    return Trace(Span.parse(span, trace["processes"][span["processID"]]) for span in trace["spans"])
