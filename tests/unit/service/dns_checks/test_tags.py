"""Tag lists of DKIM and DMARC records."""

import pytest

from relate_service.dns_checks.tags import parse_tags


@pytest.mark.parametrize(
    ("record", "tags"),
    [
        ("v=DKIM1; p=ab\n cd==;", {"v": "DKIM1", "p": "abcd=="}),
        (" v = DMARC1 ;p=none", {"v": "DMARC1", "p": "none"}),
        ("p=", {"p": ""}),
        ("", None),
        ("v=DKIM1; p", None),
        ("v=DKIM1;; p=x", None),
        ("p=x; p=y", None),
    ],
)
def test_the_values_of_tags(record: str, tags: dict[str, str] | None) -> None:
    assert parse_tags(record) == tags
