"""The links and codes of a message, and the namespaces of addresses."""

import pytest

from relate_api.developers.extract import MAX_ITEMS, find_codes, find_links
from relate_api.developers.namespaces import complete, namespace_of, parse_namespace, within


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("Go to https://example.org/a?b=1&c=2#d now", ["https://example.org/a?b=1&c=2#d"]),
        ("See https://example.org/a, or HTTP://example.org.", ["https://example.org/a", "HTTP://example.org"]),
        ("(https://example.org/a)", ["https://example.org/a"]),
        ("https://example.org/a_(b)", ["https://example.org/a_(b)"]),
        ("<https://example.org/a> https://example.org/a", ["https://example.org/a"]),
        ("ftp://example.org mailto:a@example.org https://… https://.", []),
        (
            "https://example.org/?token=a_ and https://example.org/b*",
            ["https://example.org/?token=a_", "https://example.org/b*"],
        ),
        ("_https://example.org/a_ **https://example.org/b**", ["https://example.org/a", "https://example.org/b"]),
        ("<https://example.org/a.> <https://example.org/b)>", ["https://example.org/a.", "https://example.org/b)"]),
        ("“https://example.org/a” ‘https://example.org/b’", ["https://example.org/a", "https://example.org/b"]),
        ("https://example.org/a。（https://example.org/b）、", ["https://example.org/a", "https://example.org/b"]),
        (
            "(https://example.org/a_(b)). (see https://example.org/c))",
            ["https://example.org/a_(b)", "https://example.org/c"],
        ),
    ],
)
def test_links_of_plain_text(text: str, links: list[str]) -> None:
    assert find_links(text, None) == links


def test_links_of_html_follow_those_of_the_text_and_are_decoded() -> None:
    html = (
        "<p>http://not.a/link <A class=x HREF=\"https://example.org/a?b=1&amp;c=2\">one</a> <a href='/relative'>two</a>"
        '<a href=https://example.org/unquoted>three</a><link href="https://example.org/style.css"></p>'
    )
    assert find_links("https://example.org/first", html) == [
        "https://example.org/first",
        "https://example.org/a?b=1&c=2",
        "https://example.org/unquoted",
    ]


@pytest.mark.parametrize(
    ("html", "links"),
    [
        (
            '<a href="https://e.org/?token=1&region=eu&amp;copy=2&amp3&lt;">',
            ["https://e.org/?token=1&region=eu&copy=2&amp3%3C"],
        ),
        ('<a title="a > b" href="https://e.org/a">', ["https://e.org/a"]),
        ('<a title="go href=https://other.example/x" href=https://e.org/real>', ["https://e.org/real"]),
        ('<a href="https://e.org/first" href="https://e.org/second">', ["https://e.org/first"]),
        ("<!-- <a href=https://e.org/comment> --><a href=https://e.org/a>", ["https://e.org/a"]),
        ("<script>'<a href=https://e.org/x>'</script><a href=https://e.org/a>", ["https://e.org/a"]),
        ("<map><area HREF=https://e.org/area></map></a href=https://e.org/x>", ["https://e.org/area"]),
        ('<a href=" https://e.org/a\r\n\tb ">', ["https://e.org/ab"]),
        ('<a href="https://e.org/a b|{}^`&quot;">', ["https://e.org/a%20b|{}^`%22"]),
        ("<a href=https://e.org/none <a href='https://e.org/x", []),
        ("<a href=https:///x><a href=mailto:a@e.org><a name=b><a href>", []),
    ],
)
def test_links_of_html_are_read_as_browsers_read_them(html: str, links: list[str]) -> None:
    assert find_links(None, html) == links


def test_a_reference_of_many_digits_is_kept() -> None:
    reference = f"&#{'1' * 5_000};"
    assert find_links(None, f"<a href=https://e.org/{reference}>") == [f"https://e.org/{reference}"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Your code: 123456.", ["123456"]),
        ("Type 123 456 or 987-654 here", ["123456", "987654"]),
        ("Use ABC-123 no; use K7P9-XQ2M", ["K7P9-XQ2M"]),
        ("Code AB12CD, valid for 15 minutes", ["AB12CD"]),
        ("HELLO WORLD costs 12.3456 or 1,234 EUR; 123", []),
        ("https://example.org/123456 only", []),
        ("call +4912345678, user12345, 12345@example.org", []),
        ("1234 1234 5678", ["1234", "5678"]),
        ("1234-5678", ["1234-5678"]),
        ("G-482913, OTP-482914, CODE-482915", ["482913", "482914", "CODE-482915"]),
        ("123\u00a0456, 123\u2009457 or 123\u2011458", ["123456", "123457", "123458"]),
        ("验证码482913，コードは482914です", ["482913", "482914"]),
        ("123 456 789, 123-456-789", []),
    ],
)
def test_codes_of_plain_text(text: str, codes: list[str]) -> None:
    assert find_codes("", text, None) == codes


def test_codes_of_the_subject_come_first_and_html_is_read_without_plain_text() -> None:
    assert find_codes("654321 is your code", None, "<b style='color:#123456'>11</b><b>2233</b>") == ["654321", "112233"]
    assert find_codes("", "no code", "<b>123456</b>") == []
    assert find_codes("", " \r\n", "<b>123&nbsp;456</b>") == ["123456"]


def test_what_is_found_is_limited() -> None:
    text = " ".join(f"https://example.org/{number} {number}" for number in range(1_000, 1_000 + 2 * MAX_ITEMS))
    assert len(find_links(text, None)) == len(find_codes("", text, None)) == MAX_ITEMS


@pytest.mark.parametrize(
    ("address", "namespace", "moved"),
    [
        ("alice@example.test", "one", "alice+one@example.test"),
        ("alice+one@example.test", "one", "alice+one@example.test"),
        ("alice+ONE@example.test", "one", "alice+ONE@example.test"),
        ("alice+two@example.test", "one", "alice+two+one@example.test"),
        ('"a b"@example.test', "one", '"a b+one"@example.test'),
        ("alice", "one", "alice+one"),
        ("alice@example.test", "", "alice@example.test"),
    ],
)
def test_an_address_is_moved_into_a_namespace(address: str, namespace: str, moved: str) -> None:
    assert within(address, namespace) == moved
    assert namespace_of(moved) == namespace
    assert within(moved, namespace) == moved


def test_a_login_without_a_domain_gets_the_servers_name() -> None:
    assert complete("alice", "localhost") == "alice@localhost"
    assert complete("alice@example.test", "localhost") == "alice@example.test"


def test_namespaces_are_names() -> None:
    assert parse_namespace(" Test-1.a_b ") == "test-1.a_b"
    assert [parse_namespace(text) for text in ("", "+", "ä", "a" * 33, ".a", "_a", "a.", "a..b")] == [None] * 8
