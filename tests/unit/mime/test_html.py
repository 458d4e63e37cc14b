"""HTML to text: as browsers display it, independently of the pieces, in linear time."""

from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mime.html import html_text
from tests.support.growth import super_linear

TOKENS = [
    *("<", ">", "/", "!", "-", "--", "=", '"', "'", "&", ";", "#", "x", " ", "a", "b", "p", "style", "</style", "é"),
    *("<!--", "-->", "--!>", "<p>", "</p>", "<b>", "<a href=", "<style>", "</style>", "&amp;", "&#65;", "&lt", "<?"),
]


def text_of(html: str) -> str:
    return "".join(html_text([html]))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain", "plain"),
        ("<p>one</p>two", " one two"),
        ("a<b>b</b>c<wbr>d", "abcd"),
        ("a<br>b<hr/>c", "a b c"),
        ("1 < 2 > 0 <3", "1 < 2 > 0 <3"),
        ("<a title='x>y' href=\"a>b\">seen</a>", "seen"),
        ("<a title=x'y>seen</a>", "seen"),
        ("<a b=>seen", "seen"),
        ("<a b= 'x>y' c = d>seen", "seen"),
        ("a<!-- hidden > -->b", "ab"),
        ("a<!-->b", "ab"),
        ("a<!--->b", "ab"),
        ("a<!-- x --!>b", "ab"),
        ("a<![if !mso]>b<![endif]>c", "abc"),
        ("a<?xml version='1'?>b</ >c", "abc"),
        ("<style>p > a {}</style>x", " x"),
        ("<SCRIPT>if (a</b) '</scripts>'</SCRIPT\n>x", " x"),
        ("<title>seen</title>", " seen "),
        ("a<style>never closed", "a"),
        ("a<p never closed", "a"),
        ("a<!-- never closed", "a"),
        ("&lt;b&gt; &amp;amp; &eacute; &nbsp;&#8364;&#x20AC;", "<b> &amp; é \xa0€€"),
        ("&#0;&#xD800;&#1114112;", "\ufffd\ufffd\ufffd"),
        ("&#" + "0" * 5_000 + "65;", "A"),
        ("&#" + "1" * 5_000 + ";", "\ufffd"),
        ("&#x" + "1" * 5_000 + ";", "\ufffd"),
        ("a & b &unknown; &", "a & b &unknown; &"),
        ("a<", "a<"),
        ("a&am", "a&am"),
    ],
)
def test_text_is_that_which_browsers_display(html: str, text: str) -> None:
    assert text_of(html) == text


def test_content_of_invisible_elements_is_omitted() -> None:
    assert "".join(html_text(["<title>window</title>page"], invisible=frozenset({"title"}))) == " page"


@given(st.lists(st.sampled_from(TOKENS)).map("".join), st.lists(st.integers(0, 100)))
def test_result_does_not_depend_on_the_pieces(html: str, cuts: list[int]) -> None:
    edges = sorted({0, len(html), *(cut for cut in cuts if cut < len(html))})
    pieces = [html[start:stop] for start, stop in pairwise(edges)]
    assert "".join(html_text(pieces)) == text_of(html)


@pytest.mark.parametrize(
    "unit",
    [
        *("<a ", '<a x="', "<a x='", "<div>", "<b", "</p>", "<!--", "<!-", "<!-- - -", "<style>", "</style", "<title>"),
        *("&", "&amp", "&#", "&#1", "&#x", "<", "=", '="', "<p =", "<![CDATA[", "<?", "<a b='' c=>", "--!", '<a b="">'),
    ],
)
@pytest.mark.parametrize("prefix", ["", "<!--", "<style>", "<p ", '<p a="', "&#"])
def test_extraction_takes_linear_time(prefix: str, unit: str) -> None:
    def read(html: str) -> None:
        pieces = [html[start : start + 16_384] for start in range(0, len(html), 16_384)]
        deque(html_text(pieces), maxlen=0)

    assert super_linear(read, lambda size: prefix + unit * (size // len(unit))) is None
