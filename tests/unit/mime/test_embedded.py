"""Attachments, and parts that the HTML of the message embeds (RFC 2392, RFC 2557)."""

import pytest

from relate_mime import index_message
from relate_mime.embedded import HTML_LIMIT_OCTETS
from tests.unit.mime.messages import crlf

PICTURE = "Content-Type: image/png; name=a.png\nContent-ID: <a@x>\n"


def attachments(html: str, *headers: str, kind: str = "related", html_header: str = "") -> list[str]:
    parts = [f"Content-Type: text/html\n{html_header}\n{html}", *(f"{header}\nx" for header in headers)]
    body = "".join(f"--q\n{part}\n" for part in parts)
    index = index_message(crlf(f"From: a@b\nContent-Type: multipart/{kind}; boundary=q\n\n{body}--q--\n"))
    assert index.attachments == sum(part.attachment for part in index.parts)
    return [part.filename or part.section for part in index.parts if part.attachment]


REFERENCES = [
    '<img src="cid:a@x">',
    "<img src='cid:a@x'>",
    "<img src=cid:a@x>",
    "<img src=CID:a@x alt=b>",
    '<img src="cid:a%40x">',
    '<img src="cid:a&#64;x">',
    '<img src="cid:a&commat;x">',
    '<div style="background: url(cid:a@x)">',
    "<div style=\"background-image: url('cid:a@x')\">",
    '<td background="cid:a@x">',
    '<a href="cid:a@x">',
    '<object data="cid:a@x"></object>',
    '<img\n src =\n "cid:a@x"\n>',
]


@pytest.mark.parametrize("html", REFERENCES)
@pytest.mark.parametrize("kind", ["related", "mixed"])
def test_part_that_html_refers_to_is_no_attachment(html: str, kind: str) -> None:
    assert attachments(html, PICTURE, kind=kind) == []


NO_REFERENCES = ["", "cid:", "<img src='cid:b@x'>", "<img src='cid:a@x.example'>", "<img src='a@x'>", "<p>a@x</p>"]


@pytest.mark.parametrize("html", NO_REFERENCES)
@pytest.mark.parametrize("kind", ["related", "mixed", "alternative"])
def test_part_without_a_reference_is_an_attachment(html: str, kind: str) -> None:
    assert attachments(html, PICTURE, kind=kind) == ["a.png"]


UNREFERRED = {
    "a PDF that is inline": ("Content-Type: application/pdf; name=a.pdf\nContent-Disposition: inline\n", "a.pdf"),
    "a PDF without a name": ("Content-Type: application/pdf\nContent-Disposition: inline\n", "2"),
    "a picture without a disposition": ("Content-Type: image/jpeg; name=a.jpeg\n", "a.jpeg"),
    "a picture without a name": ("Content-Type: image/jpeg\n", "2"),
    "a text with a name": ("Content-Type: text/plain\nContent-Disposition: inline; filename=a.txt\n", "a.txt"),
    "HTML with a name": ("Content-Type: text/html\nContent-Disposition: inline; filename=a.html\n", "a.html"),
    "a calendar with a name": ("Content-Type: text/calendar; name=a.ics\n", "a.ics"),
    "a message with a name": ("Content-Type: message/rfc822; name=a.eml\n", "a.eml"),
    "an archive": ("Content-Type: application/zip\nContent-Disposition: inline; filename=a.zip\n", "a.zip"),
    "an attachment": ("Content-Type: image/png\nContent-Disposition: attachment; filename=a.png\n", "a.png"),
}


@pytest.mark.parametrize(("header", "name"), UNREFERRED.values(), ids=UNREFERRED.keys())
@pytest.mark.parametrize("content_id", ["", "Content-ID: <a@x>\n", "Content-Id:a@x\n", "Content-ID: <>\n"])
def test_content_id_alone_makes_no_part_embedded(header: str, name: str, content_id: str) -> None:
    assert attachments("<p>see the file</p>", header + content_id, kind="mixed") == [name]


SHOWN = {
    "text": "Content-Type: text/plain\n",
    "inline text": "Content-Type: text/plain\nContent-Disposition: inline\n",
    "more HTML": "Content-Type: text/html\n",
    "an inline picture": "Content-Type: image/png\nContent-Disposition: inline\n",
    "a report": "Content-Type: message/delivery-status\n",
}


@pytest.mark.parametrize("header", SHOWN.values(), ids=SHOWN.keys())
def test_content_id_does_not_make_an_inline_part_a_file(header: str) -> None:
    assert attachments("<p>", header + "Content-ID: <a@x>\n", kind="mixed") == []


def test_disposition_attachment_wins_over_a_reference() -> None:
    assert attachments("<img src=cid:a@x>", PICTURE + "Content-Disposition: attachment\n") == ["a.png"]


def test_parts_are_judged_independently() -> None:
    other = PICTURE.replace("a.png", "b.png").replace("a@x", "b@x")
    assert attachments("<img src=cid:a@x>", PICTURE, other) == ["b.png"]


@pytest.mark.parametrize(
    ("encoding", "html"),
    [
        ("quoted-printable", '<img src=3D"cid:a@=\nx">'),
        ("base64", "PGltZyBzcmM9ImNpZDphQHgiPg=="),
        ("8bit", '<img src="cid:a@x">'),
    ],
)
def test_encoded_html_is_decoded(encoding: str, html: str) -> None:
    header = f"Content-Transfer-Encoding: {encoding}\n"
    assert attachments(html, PICTURE, html_header=header) == []


def test_html_in_utf_16_is_scanned() -> None:
    html = '<img src="cid:a@x">'.encode("utf-16").hex("=", 1).upper()
    header = "Content-Type: text/html; charset=utf-16\nContent-Transfer-Encoding: quoted-printable\n"
    assert attachments(f"={html}", PICTURE, html_header=header) == []


LOCATED = "Content-Type: image/png; name=a.png\nContent-Location: {}\n"


@pytest.mark.parametrize(
    ("location", "html", "shown"),
    [
        ("http://example.org/b.png", '<img src="http://example.org/b.png">', True),
        ("http://example.org/a%20b.png", '<img src="http://example.org/a%20b.png">', True),
        ("http://example.org/?a=1&b=2", '<img src="http://example.org/?a=1&amp;b=2">', True),
        ("b.png", "<img src=b.png>", True),
        ("cid:b", "<img src='cid:b'>", True),
        ("http://example.org/b.png", '<img src="http://example.org/c.png">', False),
        ("b.png", "b.png", False),
        ("", "<img src=''>", False),
    ],
)
def test_html_may_refer_to_a_content_location(location: str, html: str, shown: bool) -> None:
    assert attachments(html, LOCATED.format(location)) == ([] if shown else ["a.png"])


@pytest.mark.parametrize(("content_id", "uri"), [("a%b@x", "a%25b@x"), ("a%25b@x", "a%25b@x"), ("a%b@x", "a%b@x")])
def test_percent_sign_in_a_content_id_may_be_encoded(content_id: str, uri: str) -> None:
    assert attachments(f"<img src='cid:{uri}'>", PICTURE.replace("a@x", content_id)) == []


ROOTS = {
    "the first part": ("", ["pic.png"]),
    "the part that start names": ('; start="<root@x>"', ["pic.png"]),
    "an unknown start": ('; start="<none@x>"', ["pic.png"]),
}


@pytest.mark.parametrize(("start", "found"), ROOTS.values(), ids=ROOTS.keys())
def test_the_root_of_a_related_multipart_is_shown(start: str, found: list[str]) -> None:
    """RFC 2387 §3.2."""
    raw = crlf(f"""\
Content-Type: multipart/related; boundary=q{start}

--q
Content-Type: text/html; name=body.html
Content-ID: <root@x>

<p>x
--q
Content-Type: image/png; name=pic.png
Content-ID: <pic@x>

x
--q--
""")
    assert [part.filename for part in index_message(raw).parts if part.attachment] == found


def test_root_may_follow_the_parts_that_it_embeds() -> None:
    raw = crlf("""\
Content-Type: multipart/related; boundary=q; start="<root@x>"

--q
Content-Type: image/png; name=pic.png
Content-ID: <pic@x>

x
--q
Content-Type: text/html; name=body.html
Content-ID: <root@x>

<img src="cid:pic@x">
--q--
""")
    assert index_message(raw).attachments == 0


def test_html_beyond_the_limit_is_not_scanned() -> None:
    assert attachments("x" * (HTML_LIMIT_OCTETS + 10) + "<img src=cid:a@x>", PICTURE) == ["a.png"]


def test_html_attachment_still_embeds_its_pictures() -> None:
    header = "Content-Disposition: inline; filename=a.html\n"
    assert attachments("<img src=cid:a@x>", PICTURE, html_header=header, kind="mixed") == ["a.html"]
