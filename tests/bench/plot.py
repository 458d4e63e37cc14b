"""A bar chart as SVG: for each scenario the rate with telemetry on ÷ off, per database. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from tests.bench.results import Results, on_off_ratio

LABEL_PIXELS, CHART_PIXELS, VALUE_PIXELS = 330, 420, 50
BAR_PIXELS, ROW_MARGIN_PIXELS, HEADER_PIXELS = 9, 7, 46
COLORS = ("#3b6ea5", "#d08a3e", "#6a9a58")
AIM_RATIO, MAX_RATIO = 0.8, 1.2  # a longer bar ends at the right edge, its number is exact
GRID = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def on_off_chart(results: Results, databases: Sequence[str]) -> str:
    """The chart of all scenarios in which telemetry on and off were measured."""
    rows = {scenario: [on_off_ratio(results, scenario, database) for database in databases] for scenario in results}
    measured = {scenario: ratios for scenario, ratios in rows.items() if any(ratio is not None for ratio in ratios)}
    return bar_chart("Operations per second, telemetry on ÷ off", databases, measured)


def bar_chart(title: str, series: Sequence[str], rows: Mapping[str, Sequence[float | None]]) -> str:
    """A chart of horizontal bars, one per row and series; None leaves a gap."""
    row_pixels = len(series) * BAR_PIXELS + ROW_MARGIN_PIXELS
    width = LABEL_PIXELS + CHART_PIXELS + VALUE_PIXELS
    height = HEADER_PIXELS + len(rows) * row_pixels + ROW_MARGIN_PIXELS
    size = f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="17" font-size="13" font-weight="bold">{escape(title)}</text>',
        *_legend(series),
        *_grid(height),
    ]
    for number, (name, values) in enumerate(rows.items()):
        lines += _row(name, values, HEADER_PIXELS + number * row_pixels)
    return "\n".join([*lines, "</svg>", ""])


def _legend(series: Iterable[str]) -> Iterator[str]:
    for number, name in enumerate(series):
        x = LABEL_PIXELS + number * 110
        yield f'<rect x="{x}" y="8" width="10" height="10" fill="{COLORS[number]}"/>'
        yield f'<text x="{x + 15}" y="17">{escape(name)}</text>'


def _grid(height: int) -> Iterator[str]:
    for value in GRID:
        x, width = LABEL_PIXELS + _length(value), 2 if value == AIM_RATIO else 1
        yield f'<path d="M{x} {HEADER_PIXELS - 6}V{height}" stroke="#ccc" stroke-width="{width}"/>'
        yield f'<text x="{x}" y="{HEADER_PIXELS - 10}" text-anchor="middle" fill="#555">{value:.1f}</text>'


def _row(name: str, values: Sequence[float | None], top: int) -> Iterator[str]:
    middle = top + len(values) * BAR_PIXELS // 2
    yield f'<text x="{LABEL_PIXELS - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>'
    for number, value in enumerate(values):
        if value is not None:
            yield from _bar(value, top + number * BAR_PIXELS, COLORS[number])


def _bar(value: float, top: int, color: str) -> Iterator[str]:
    length = _length(value)
    yield f'<rect x="{LABEL_PIXELS}" y="{top}" width="{length}" height="{BAR_PIXELS - 1}" fill="{color}"/>'
    yield f'<text x="{LABEL_PIXELS + length + 4}" y="{top + BAR_PIXELS - 1}" font-size="9">{value:.2f}</text>'


def _length(value: float) -> int:
    return round(min(value, MAX_RATIO) / MAX_RATIO * CHART_PIXELS)
