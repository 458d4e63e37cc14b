"""The folded header text of lists and searches."""

from relate_mailstore.summary_text import summary_text
from relate_mime import index_message
from tests.support.factories import multipart


def test_summary_text_has_the_listed_fields_folded() -> None:
    assert summary_text(index_message(multipart("Straße"))).split("\n") == [
        "strasse",
        "ann example <ann@example.org>",
        "bob example <bob@example.net>, <carol@example.com>",
        "jörg <joerg@example.net>",
        "",
        "the figures, grüsse from ann.",
    ]
