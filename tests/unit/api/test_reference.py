"""docs/api.md lists every route with its scopes and a test that exists; docs/page.md lists those of the page."""

import re
from pathlib import Path

import pytest

from tests.unit.api.expected_access import EXPECTED, PAGE

DOCUMENT = Path(__file__).parents[3] / "docs" / "api.md"
ROW = re.compile(r"\| `(?P<route>[A-Z]+ \S+)` \| (?P<scopes>[^|]+) \| [^|]+ \| \[\w+\]\(\.\./(?P<test>[^)]+)\) \|")
ROWS = [found for line in DOCUMENT.read_text().splitlines() if (found := ROW.fullmatch(line))]

# They have no row: the same without `external`, files of the page, other spellings of a path.
UNLISTED = re.compile(
    r"GET /docs/.+|POST /(?!autodiscover/autodiscover\.xml)(?i:autodiscover/.+)|[A-Z]+ /api/external/.+"
)


def test_every_route_is_listed_once() -> None:
    assert sorted(row["route"] for row in ROWS) == sorted(
        route for route in EXPECTED if UNLISTED.fullmatch(route) is None and route not in PAGE
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["route"])
def test_a_row_has_the_scopes_of_its_route_and_a_test(row: re.Match[str]) -> None:
    scopes = ", ".join(sorted(EXPECTED[row["route"]].scopes)) or "–"
    assert row["scopes"] == scopes
    assert (DOCUMENT.parents[1] / row["test"]).is_file()


def test_the_routes_of_the_page_are_listed_with_their_scopes() -> None:
    text = (DOCUMENT.parent / "page.md").read_text()
    rows = re.findall(r"^\| `([A-Z]+ \S+)` \| ([^|]+) \|", text, re.MULTILINE)
    expected = {route: ", ".join(sorted(PAGE[route].scopes)) or "–" for route in PAGE if "/static/" not in route}
    assert dict(rows) == expected
