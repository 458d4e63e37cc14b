"""HTML is written anew with balanced elements; what people see stays the same."""

import pytest

from relate_api.page.html_mail.sanitiser import ATTRIBUTES, TAGS, sanitise
from relate_api.page.html_mail.structure import MAX_DEPTH, balance
from tests.support.growth import super_linear


def written(html: str) -> str:
    return balance(html, ATTRIBUTES, TAGS)


@pytest.mark.parametrize(
    ("html", "balanced"),
    [
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        ("<p><b>a<p>b", "<p><b>a</b></p><p>b</p>"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"),
        (
            "<table><tr><td>a<td>b<tr><td>c</table>d",
            "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>d",
        ),
        ("<td><table><td>a</table>b</td>", "<td><table><td>a</td></table>b</td>"),
        ("<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>"),
        ("<b><i>a</b>b</i>", "<b><i>a</i></b>b"),
        ("a</b></p>b<br/>c<hr>", "ab<br>c<hr>"),
        ("<a href=x>a<a href=y>b", '<a href="x">a</a><a href="y">b</a>'),
        ('<IMG SRC=\'a"b\' alt="<c>" onerror=x>', '<img src="a&quot;b" alt="&lt;c&gt;">'),
        ("<a href='?a=1&copy=2&amp;b=&#51;'>a</a>", '<a href="?a=1&amp;copy=2&amp;b=3">a</a>'),
        ("a &lt; b & c &unknown; &#x41;<3", "a &lt; b &amp; c &amp;unknown; A&lt;3"),
        ("a<!-- <p> --!>b<!-->c<!doctype html>d<?x?>e<!-- f", "abcde"),
        ("<style><p></style>a<script>b</scripty></script>c<title>d", "ac"),
        ("İİ<style>a</STYLE>b", "İİb"),
        ("<x-y>a</x-y><o:p>b</o:p>", "ab"),
    ],
)
def test_elements_are_closed_where_browsers_close_them(html: str, balanced: str) -> None:
    assert written(html) == balanced


def test_the_depth_is_bounded_and_the_text_stays() -> None:
    deep = written("<div>" * 1_000 + "text" + "</div>" * 1_000 + "after")
    assert deep.count("<div>") == deep.count("</div>") == MAX_DEPTH
    assert deep.startswith("<div>" * MAX_DEPTH + "text")
    assert deep.endswith("after")


@pytest.mark.parametrize("unit", ["<div>", "<p>x", "<table><td>", "<a href=x>", "&", "<!-- -->"])
def test_distinct_elements_that_are_not_closed_take_linear_time(unit: str) -> None:
    """Of equal ones `tests/unit/test_linear.py` has more."""

    def numbered(size: int) -> str:
        return "".join(f"<font size={number}>{unit}" for number in range(size // (len(unit) + 12)))

    assert super_linear(lambda html: sanitise(html, {}), numbered) is None
