"""Which parts the HTML of a message shows in place: those whose Content-ID or Content-Location it refers to.

RFC 2392, RFC 2557. All HTML parts are read once, and only where a part is named that would be a file otherwise.
"""

import html
import re
from collections.abc import Iterator
from urllib.parse import unquote

from relate_mailstore.mime.charsets import decode_unlabelled
from relate_mailstore.mime.content import Presentation
from relate_mailstore.mime.scan import Node
from relate_mailstore.mime.transfer import decode_transfer

HTML_LIMIT_OCTETS = 2_097_152
"""Octets of HTML, as encoded, that are looked into for a message."""

_CID = re.compile(rb"""[cC][iI][dD]:([^\s"'<>()]{1,998})""")
_ATTRIBUTE = re.compile(rb"""=\s*+["']?([^\s"'<>]{1,998})""")


def find_embedded(raw: bytes, root: Node) -> frozenset[str]:
    """The URIs of parts that the message's HTML refers to, of those that would be files without it."""
    nodes = [*_walk(root)]
    files = (node.content for node in nodes if node.content.presentation is Presentation.FILE)
    names = frozenset(name for content in files for name in content.names)
    if not names:
        return names
    return names & {*_references(raw, nodes, located=not all(name.startswith("cid:") for name in names))}


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _references(raw: bytes, nodes: list[Node], *, located: bool) -> Iterator[str]:
    room = HTML_LIMIT_OCTETS
    for node in nodes:
        if node.content.media_type != "text/html" or room <= 0:
            continue
        end = min(node.end, node.body + room)
        room -= end - node.body
        text = decode_transfer(raw[node.body : end], node.content.encoding).replace(b"\0", b"")  # UTF-16 becomes ASCII
        for match in _CID.finditer(text):
            yield from _read_reference(match[0])
        if located:
            for match in _ATTRIBUTE.finditer(text):
                yield from _read_reference(match[1])


def _read_reference(octets: bytes) -> Iterator[str]:
    """The URI as it is written, and with its percent-encoding undone: a Content-ID has none (RFC 2392 §2)."""
    uri = decode_unlabelled(octets)
    if "&" in uri:
        uri = html.unescape(uri)
    if uri[:4].lower() == "cid:":
        uri = f"cid:{uri[4:]}"
    yield uri
    if "%" in uri:
        yield unquote(uri)
