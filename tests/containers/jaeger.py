"""What Jaeger has seen, by its query API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

ENOUGH = 1000  # traces of one answer: more than a test makes
TIMEOUT = 10.0
NO_TAGS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Span:
    """One span. `links` are the trace and span ids of what it refers to beside its parent."""

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
        """What a link names."""
        return self.trace_id, self.span_id

    @classmethod
    def read(cls, span: dict[str, Any], process: dict[str, Any]) -> Self:
        """From Jaeger's JSON."""
        trace_id = span["traceID"]
        references = [(each["refType"], each["traceID"], each["spanID"]) for each in span["references"]]
        parents = [of for kind, trace, of in references if kind == "CHILD_OF" and trace == trace_id]
        return cls(
            trace_id,
            span["spanID"],
            parents[0] if parents else None,
            span["operationName"],
            process["serviceName"],
            {tag["key"]: tag["value"] for tag in process["tags"]}["service.instance.id"],
            span["duration"] / 1e6,
            {tag["key"]: tag["value"] for tag in span["tags"]},
            frozenset((trace, of) for kind, trace, of in references if kind == "FOLLOWS_FROM"),
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
        """Everything below a span, at any depth."""
        for child in self:
            if child.parent_id == span.span_id:
                yield child
                yield from self.below(child)


class Jaeger:
    """The query API at a URL."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT)

    def services(self) -> set[str]:
        """Who has sent spans."""
        return set(self._get("/api/services", {}) or ())

    def traces(
        self, service: str, operation: str | None = None, tags: Mapping[str, str] = NO_TAGS, since: float = 0.0
    ) -> list[Trace]:
        """Traces of a service with a span that has this name and these tags; `since` is a time of `time.time()`."""
        asked = {"service": service, "limit": str(ENOUGH), "start": str(int(since * 1e6))}
        if operation is not None:
            asked["operation"] = operation
        named = [f"{name}:{value}" for name, value in tags.items()]
        return [_read(trace) for trace in self._get("/api/traces", {**asked, "tag": named})]

    def close(self) -> None:
        """Be done with it."""
        self._client.close()

    def _get(self, path: str, asked: dict[str, Any]) -> Any:
        try:
            answer = self._client.get(path, params=asked)
        except httpx.TransportError as error:
            raise OSError(f"Jaeger: {error}") from None  # gone, or just coming: to be asked again
        assert answer.is_success, answer.text
        return answer.json()["data"]


def _read(trace: dict[str, Any]) -> Trace:
    return Trace(Span.read(span, trace["processes"][span["processID"]]) for span in trace["spans"])
