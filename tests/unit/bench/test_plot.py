"""The chart of telemetry on ÷ off."""

from xml.etree import ElementTree

from tests.bench.plot import CHART_PIXELS, COLORS, MAX_RATIO, bar_chart, on_off_chart
from tests.unit.bench.runs import runs

_SVG = "{http://www.w3.org/2000/svg}"


def texts(chart: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(chart).iter(f"{_SVG}text")]


def bars(chart: str, color: str) -> list[int]:
    """The lengths of the bars of a color, without the legend's square."""
    found = [each for each in ElementTree.fromstring(chart).iter(f"{_SVG}rect") if each.get("fill") == color]
    return [int(each.attrib["width"]) for each in found[1:]]


def test_a_bar_is_as_long_as_its_value() -> None:
    chart = bar_chart("title", ["SQLite", "PostgreSQL"], {"NOOP": [0.6, 0.3], "STORE": [0.9, None]})
    unit = CHART_PIXELS / MAX_RATIO
    assert bars(chart, COLORS[0]) == [round(0.6 * unit), round(0.9 * unit)]
    assert bars(chart, COLORS[1]) == [round(0.3 * unit)]


def test_a_value_beyond_the_edge_is_clipped_and_its_number_is_exact() -> None:
    chart = bar_chart("title", ["SQLite"], {"NOOP": [9.87]})
    assert bars(chart, COLORS[0]) == [CHART_PIXELS]
    assert "9.87" in texts(chart)


def test_names_are_escaped() -> None:
    assert "a < b & c" in texts(bar_chart("title", ["SQLite"], {"a < b & c": [1.0]}))


def test_only_scenarios_with_both_values_are_drawn() -> None:
    results = {**runs(off=[100], on=[80]), "push": runs(off=[100])["NOOP"]}
    drawn = texts(on_off_chart(results, ["SQLite"]))
    assert "0.80" in drawn
    assert "NOOP" in drawn
    assert "push" not in drawn


def test_the_picture_is_as_high_as_its_rows() -> None:
    def height(rows: int) -> int:
        chart = bar_chart("title", ["SQLite"], {str(number): [1.0] for number in range(rows)})
        return int(ElementTree.fromstring(chart).attrib["viewBox"].split()[-1])

    assert height(3) - height(2) == height(2) - height(1) > 0
