"""Draws a picture for each page of docs/walks whose fault runs, as SVG, from Jaeger's and Prometheus' answers.

python -m deploy.walk_pictures --jaeger http://127.0.0.1:16686 --prometheus http://127.0.0.1:9090

Each has the alert's name, severity and summary, the newest trace that shows the fault, and what the span in it says.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from deploy.demo.walks import WALKS, Walk
from deploy.pictures import IMAGES, ROW_PIXELS, WIDTH_PIXELS, draw_bars, draw_page, draw_text, make_rows, start_time

Json = dict[str, Any]

MAX_TRACES = 200
TOP_PIXELS = 26


def main() -> None:
    """Draw what can be drawn, and print which faults left nothing to draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jaeger", default="http://127.0.0.1:16686")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    options = parser.parse_args()
    alerts: list[Json] = _get(options.prometheus, "/api/v1/alerts")["alerts"]
    for fault, walk in WALKS.items():
        found = next(find_spans(options.jaeger, walk), None)
        titles = [_describe(alert) for alert in alerts if walk.alert and walk.alert.items() <= alert["labels"].items()]
        if found is None or (walk.alert and not titles):
            print(f"{fault}: {'no trace' if found is None else 'no alert'}")  # noqa: T201 - a command line
            continue
        trace, span = found
        (IMAGES / "walks" / f"{fault}.svg").write_text(draw_walk(titles[:1], trace, span, walk))


def find_spans(jaeger: str, walk: Walk) -> Iterator[tuple[Json, Json]]:
    """Yield traces, newest first, with the span that shows the fault."""
    traces = _get(jaeger, "/api/traces", service=walk.service, operation=walk.span, limit=MAX_TRACES, lookback="1h")
    for trace in sorted(traces, key=start_time, reverse=True):
        if any(span["operationName"] == walk.root for span in trace["spans"]):
            yield from ((trace, span) for span in trace["spans"] if _shows(span, walk))


def draw_walk(titles: Sequence[str], trace: Json, span: Json, walk: Walk) -> str:
    """Draw one page's picture, in which the span that shows the fault stands out."""
    rows = list(make_rows(trace))
    parts = [draw_text(16, TOP_PIXELS, title, "title") for title in titles]
    top = TOP_PIXELS + (14 if titles else -16)
    number = next(number for number, row in enumerate(rows) if row.id == span["spanID"])
    marked = f'<rect x="8" y="{top + ROW_PIXELS * number - 1}" width="{WIDTH_PIXELS - 16}" height="{ROW_PIXELS}"'
    parts += [f'{marked} fill="#fecaca"/>', *draw_bars(rows, top)]
    bottom = top + ROW_PIXELS * len(rows) + 24
    tags = _tags(span)
    lines = [f"{walk.span}: {key} = {tags[key]}" for key in walk.shown]
    parts += [draw_text(16, bottom + ROW_PIXELS * number, line, "small") for number, line in enumerate(lines)]
    return draw_page(bottom + ROW_PIXELS * len(lines), parts)


def _shows(span: Json, walk: Walk) -> bool:
    is_slow = int(span["duration"]) > walk.slower_than_seconds * 1e6
    return span["operationName"] == walk.span and is_slow and walk.tags.items() <= _tags(span).items()


def _tags(span: Json) -> dict[str, object]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def _describe(alert: Json) -> str:
    labels, annotations = alert["labels"], alert["annotations"]
    return f"{labels['alertname']}, {labels['severity']}: {annotations['summary']}"


def _get(url: str, path: str, **parameters: str | int) -> Any:
    return httpx.get(f"{url}{path}", params=parameters).raise_for_status().json()["data"]


if __name__ == "__main__":
    main()
