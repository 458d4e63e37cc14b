"""Texts that replies quote."""

import pytest

from relate_api.page.html_mail.text import text_of_html
from relate_api.page.views.compose.letter import written_addresses
from relate_mime.address_lists import read_address_list


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One\n two</p><p>three<br>four</p>", "One two\nthree\nfour"),
        ("<style>p { color: red }</style><title>News</title>Hello &lt;b&gt;", "Hello <b>"),
        ("<div><div><br></div></div>a<br><br><br><br>b", "a\n\nb"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("", ""),
    ],
)
def test_html_becomes_lines_of_text(html: str, text: str) -> None:
    assert text_of_html(html) == text


@pytest.mark.parametrize(
    "people",
    [
        [("Ann Example", "ann@example.org"), ("", "bob@example.net")],
        [("Müller, Jörg", "joerg@example.org"), ('The "best"', "a@example.org"), ("O'Hara & Co. (x)", "b@example.org")],
    ],
)
def test_names_and_addresses_are_read_as_they_were_written(people: list[tuple[str, str]]) -> None:
    assert [*map(tuple, read_address_list(written_addresses(people).encode()).addresses)] == people
