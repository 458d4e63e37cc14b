"""What remains of HTML of strangers: its text and its look, and nothing that acts or reaches another server."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_api.page.html_mail.frame import frame_policy
from relate_api.page.html_mail.sanitiser import ATTRIBUTES, MAX_INLINE_CHARACTERS, TAGS, sanitise
from relate_api.page.html_mail.styles import safe_style
from tests.support.hostile_html import HOSTILE_HTML, TRACKER

SAFE_ATTRIBUTES = frozenset().union(*ATTRIBUTES.values()) | {"rel", "target"}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


class Elements(HTMLParser):
    """The elements of a document with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def check_safe(html: str) -> None:
    for tag, attributes in Elements(html).found:
        assert tag in TAGS
        assert attributes.keys() <= SAFE_ATTRIBUTES
        assert re.match(r"(https?://|mailto:)", attributes.get("href") or "mailto:", re.IGNORECASE)
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert "url" not in (attributes.get("style") or "")


@pytest.mark.parametrize("html", HOSTILE_HTML)
def test_nothing_that_acts_remains(html: str) -> None:
    clean = sanitise(html, {}).html
    check_safe(clean)
    for _, attributes in Elements(clean).found:
        assert TRACKER not in (attributes.get("src") or "") + (attributes.get("style") or "")


@given(st.lists(st.sampled_from(HOSTILE_HTML), max_size=4).map("".join), st.integers(0, 400), st.integers(0, 400))
def test_nothing_that_acts_remains_of_mixtures(html: str, start: int, length: int) -> None:
    check_safe(sanitise(html[:start] + html[start + length :], {}).html)


@pytest.mark.parametrize("html", HOSTILE_HTML)
def test_clean_html_stays_as_it_is(html: str) -> None:
    once = sanitise(html, {}).html
    twice = sanitise(once, {}).html
    assert Elements(twice).found == Elements(once).found  # the order of attributes is not fixed
    assert re.sub("<[^>]*>", "<>", twice) == re.sub("<[^>]*>", "<>", once)


def test_text_and_look_remain() -> None:
    html = '<h2 style="color: #2c5c8f">News</h2><p>See <b>this</b> and <a href="https://example.org/?a=1&amp;b=2">that</a>.</p>'
    clean = sanitise(html, {}).html
    assert '<h2 style="color: #2c5c8f">News</h2>' in clean
    assert 'href="https://example.org/?a=1&amp;b=2"' in clean
    assert 'rel="noopener noreferrer nofollow"' in clean
    assert 'target="_blank"' in clean


def test_remote_images_are_counted_and_blocked_until_they_are_allowed() -> None:
    html = f'<img src="https://{TRACKER}/a.gif"><img src="//{TRACKER}/b.gif"><img src="relative.gif">'
    blocked = sanitise(html, {})
    assert (blocked.blocked_images, TRACKER in blocked.html) == (2, False)
    allowed = sanitise(html, {}, remote_images=True)
    assert (allowed.blocked_images, allowed.html.count(TRACKER)) == (0, 2)


def test_images_of_the_message_are_shown_by_their_content_id() -> None:
    html = '<img src="cid:logo@example" alt="Logo"><img src="CID:other">'
    clean = sanitise(html, {"logo@example": PIXEL})
    assert f'src="{PIXEL}"' in clean.html
    assert "cid:" not in clean.html.lower()
    assert clean.blocked_images == 0


def test_an_image_that_is_repeated_takes_bounded_memory() -> None:
    image = "data:image/png;base64," + "A" * 1_000_000
    shown = sanitise("<img src=cid:a>" * 1_000, {"a": image}).html
    assert shown.count(image) == MAX_INLINE_CHARACTERS // len(image)
    assert len(shown) < MAX_INLINE_CHARACTERS + 100_000


def test_only_images_that_are_no_documents_are_in_data_addresses() -> None:
    assert PIXEL in sanitise(f'<img src="{PIXEL}">', {}).html
    assert "svg" not in sanitise('<img src="data:image/svg+xml;base64,PHN2Zy8+">', {}).html


@pytest.mark.parametrize(
    ("style", "safe"),
    [
        ("color: red; position: fixed; margin:0 auto", "color: red; margin: 0 auto"),
        ("background: rgba(1, 2, 3, .5)", "background: rgba(1, 2, 3, .5)"),
        ("font-family: 'Times New Roman', serif", "font-family: 'Times New Roman', serif"),
        ("background: url(https://example.org/x)", ""),
        ("background: u\\72l(x)", ""),
        ("color: expression(1)", ""),
        ("color: var(--x)", ""),
        ("width: calc(1px)", ""),
        ("color: red/*", ""),
        ("behavior: x; -moz-binding: x; z-index: 9", ""),
    ],
)
def test_a_style_keeps_what_neither_loads_nor_covers(style: str, safe: str) -> None:
    assert safe_style(style) == safe


def test_the_policy_of_the_frame_permits_no_script_and_remote_images_only_when_asked() -> None:
    for remote in (False, True):
        policy = frame_policy(remote_images=remote)
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "sandbox" in policy
        assert "allow-scripts" not in policy
        assert "allow-same-origin" not in policy
        assert ("https:" in policy) is remote
