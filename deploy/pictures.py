"""Draws pictures for the documentation, as SVG, from the traces and metrics of the running stack.

python -m deploy.pictures --jaeger http://127.0.0.1:16686 --prometheus http://127.0.0.1:9090

The stack needs a message that was delivered and fetched, and some minutes of `make demo`.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NoReturn

import httpx

IMAGES = Path(__file__).parent.parent / "docs" / "images"
WIDTH_PIXELS, ROW_PIXELS, NAME_PIXELS = 860, 22, 300
WINDOW_SECONDS = 300  # of the queries
COLOURS = {
    "relate-smtp": "#0284c7",
    "relate-imap": "#7c3aed",
    "relate-pop3": "#0d9488",
    "relate-api": "#b45309",
    "relate-relay": "#4d7c0f",
}

# The documented queries, by their titles in the picture.
QUERIES = {
    "SMTP: share of failed logins": "rate(smtp_auth_failures_total[5m]) / rate(smtp_auth_attempts_total[5m])",
    "POP3 and IMAP: sessions": '{__name__=~"(pop3|imap)_sessions_active"}',
    "POP3: commands per second": "sum by (command) (rate(pop3_commands_total[5m]))",
    "IMAP: messages retrieved per second": "rate(imap_messages_retrieved_total[5m])",
}


@dataclass(frozen=True)
class Span:
    """One row of a trace. `start` and `duration` are in microseconds."""

    name: str
    service: str
    start: int
    duration: int
    depth: int
    id: str


def main() -> None:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jaeger", default="http://127.0.0.1:16686")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    options = parser.parse_args()
    (IMAGES / "message.svg").write_text(draw_message(options.jaeger))
    (IMAGES / "queries.svg").write_text(draw_queries(options.prometheus))


# --- a message, from its delivery to its reader


def draw_message(jaeger: str) -> str:
    """Draw the newest FETCH of a message, and the delivery to which it links."""
    fetch, delivery = next(find_pairs(jaeger), None) or _fail()
    upper, lower = list(make_rows(delivery)), list(make_rows(fetch))
    middle = 50 + ROW_PIXELS * len(upper)
    parts = [
        draw_text(16, 26, "The delivery: one trace from MAIL to the last reply", "title"),
        *draw_bars(upper, 36),
        f'<path d="M 30 {middle - 8} V {middle + 22}" stroke="#475569" stroke-dasharray="4 3" fill="none"/>',
        draw_text(42, middle + 12, "a link from FETCH to the transaction that delivered the message", "small"),
        draw_text(16, middle + 46, "The reading: one trace for each IMAP command", "title"),
        *draw_bars(lower, middle + 56),
    ]
    return draw_page(middle + 70 + ROW_PIXELS * len(lower), parts)


def find_pairs(jaeger: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield FETCHes, newest first, each with the delivery to which it links, if its trace has the statements."""
    for fetch in sorted(_traces(jaeger, "relate-imap", "imap.command.fetch"), key=start_time, reverse=True):
        for trace_id in _linked_traces(fetch):
            trace = _trace(jaeger, trace_id)
            if _contains(trace, "smtp.transaction") and _contains(trace, "INSERT"):
                yield fetch, trace


def make_rows(trace: dict[str, Any]) -> Iterator[Span]:
    """Yield the spans of a trace in the order of their starts, parents before children."""
    services = {key: process["serviceName"] for key, process in trace["processes"].items()}
    ids = {span["spanID"] for span in trace["spans"]}
    children: dict[str, list[dict[str, Any]]] = {}
    for span in sorted(trace["spans"], key=lambda span: span["startTime"]):
        parent = next((each["spanID"] for each in span["references"] if each["refType"] == "CHILD_OF"), "")
        children.setdefault(parent if parent in ids else "", []).append(span)

    def walk(parent: str, depth: int) -> Iterator[Span]:
        for span in children.get(parent, []):
            service = services[span["processID"]]
            yield Span(span["operationName"], service, span["startTime"], span["duration"], depth, span["spanID"])
            yield from walk(span["spanID"], depth + 1)

    return walk("", 0)


def draw_bars(spans: Sequence[Span], top: int) -> Iterator[str]:
    """Yield a row per span: its name, its duration as a bar, and in numbers."""
    start = min(span.start for span in spans)
    scale = (WIDTH_PIXELS - NAME_PIXELS - 90) / max(span.start + span.duration - start for span in spans)
    for number, span in enumerate(spans):
        y, x = top + number * ROW_PIXELS, NAME_PIXELS + (span.start - start) * scale
        width = max(span.duration * scale, 2)
        yield draw_text(16 + 14 * span.depth, y + 14, span.name)
        colour = COLOURS.get(span.service)
        yield f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="14" rx="2" fill="{colour}"/>'
        yield draw_text(x + width + 6, y + 14, f"{span.duration / 1000:.2f} ms", "small")


def _traces(jaeger: str, service: str, operation: str) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{jaeger}/api/traces", params={"service": service, "operation": operation, "limit": 50, "lookback": "1h"}
    )
    found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
    return [trace for trace in found if any(len(span["references"]) > 1 for span in trace["spans"])]


def _trace(jaeger: str, trace_id: str) -> dict[str, Any]:
    answer = httpx.get(f"{jaeger}/api/traces/{trace_id}").raise_for_status()
    found: dict[str, Any] = answer.json()["data"][0]
    return found


def start_time(trace: dict[str, Any]) -> int:
    """When the first span of a trace began, in microseconds since the epoch."""
    return min(int(span["startTime"]) for span in trace["spans"])


def _contains(trace: dict[str, Any], operation: str) -> bool:
    return any(span["operationName"] == operation for span in trace["spans"])


def _linked_traces(trace: dict[str, Any]) -> list[str]:
    references = (reference for span in trace["spans"] for reference in span["references"])
    return [each["traceID"] for each in references if each["traceID"] != trace["traceID"]]


def _fail() -> NoReturn:
    raise SystemExit("Jaeger has no FETCH of a message: deliver a message and fetch it")


# --- the documented queries


def draw_queries(prometheus: str) -> str:
    """Draw the last minutes of each query."""
    parts: list[str] = []
    for number, (title, query) in enumerate(QUERIES.items()):
        x, y = 16 + number % 2 * 424, 16 + number // 2 * 176
        parts += [
            f'<rect x="{x}" y="{y}" width="404" height="160" rx="6" fill="#fff" stroke="#94a3b8"/>',
            draw_text(x + 12, y + 22, title, "title"),
            draw_text(x + 12, y + 38, query, "code"),
            *_lines(prometheus, query, x + 12, y + 52),
        ]
    return draw_page(16 + 176 * -(-len(QUERIES) // 2), parts)


def _lines(prometheus: str, query: str, left: int, top: int) -> Iterator[str]:
    width, height = 330, 92
    now = time.time()
    start = now - WINDOW_SECONDS
    answer = httpx.get(
        f"{prometheus}/api/v1/query_range",
        params={"query": query, "start": start, "end": now, "step": 15},
    )
    series = [each["values"] for each in answer.raise_for_status().json()["data"]["result"]]
    values = [float(value) for each in series for _, value in each if value != "NaN"]
    highest = max(values, default=0) or 1
    yield f'<path d="M {left} {top} V {top + height} H {left + width}" stroke="#94a3b8" fill="none"/>'
    yield draw_text(left + width + 4, top + 10, f"{highest:.3g}", "small")
    yield draw_text(left + width + 4, top + height, "0", "small")
    for number, points in enumerate(series[:8]):
        path = " L ".join(
            f"{left + (at - start) / WINDOW_SECONDS * width:.1f} {top + height - float(value) / highest * height:.1f}"
            for at, value in points
            if value != "NaN"
        )
        colour = list(COLOURS.values())[number % len(COLOURS)]
        yield f'<path d="M {path}" stroke="{colour}" stroke-width="1.5" fill="none"/>' if path else ""


# --- common to both


def draw_text(x: float, y: float, text: str, kind: str = "") -> str:
    """A line of text; `kind` is `title`, `small` or `code`."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def draw_page(height: int, parts: Sequence[str]) -> str:
    """The picture of these parts."""
    style = (
        "text { fill: #0f172a } .title { font-weight: 600 } .small { font-size: 11px; fill: #475569 }"
        " .code { font: 9px ui-monospace, monospace; fill: #475569 }"
    )
    box = f'viewBox="0 0 {WIDTH_PIXELS} {height}" font-family="system-ui, sans-serif" font-size="13"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
            f"<style>{style}</style>",
            f'<rect width="{WIDTH_PIXELS}" height="{height}" fill="#f8fafc"/>',
            *parts,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    main()
