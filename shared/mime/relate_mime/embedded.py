"""The parts that the HTML of a message embeds, by Content-ID or Content-Location (RFC 2392, RFC 2557).

All HTML parts are scanned once, and only if a part that would otherwise be a file has such a URI.
"""

import html
import re
from collections.abc import Iterator
from urllib.parse import unquote

from relate_mime.charsets import decode_unlabelled
from relate_mime.content import Presentation
from relate_mime.scan import Node
from relate_mime.transfer import decode_transfer

HTML_LIMIT_OCTETS = 2_097_152
"""Octets of encoded HTML that are scanned per message."""

_CID = re.compile(rb"""[cC][iI][dD]:([^\s"'<>()]{1,998})""")
_ATTRIBUTE = re.compile(rb"""=\s*+["']?([^\s"'<>]{1,998})""")


def find_embedded(raw: bytes, root: Node) -> frozenset[str]:
    """The URIs that the HTML refers to, of parts that would otherwise be files."""
    nodes = [*_walk(root)]
    files = (node.content for node in nodes if node.content.presentation is Presentation.FILE)
    uris = frozenset(uri for content in files for uri in content.uris)
    if not uris:
        return uris
    return uris & {*_references(raw, nodes, located=not all(uri.startswith("cid:") for uri in uris))}


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
        text = decode_transfer(raw[node.body : end], node.content.encoding).replace(b"\0", b"")  # UTF-16 to ASCII
        for match in _CID.finditer(text):
            yield from _read_reference(match[0])
        if located:
            for match in _ATTRIBUTE.finditer(text):
                yield from _read_reference(match[1])


def _read_reference(octets: bytes) -> Iterator[str]:
    """The URI as written, and percent-decoded, because a Content-ID is not percent-encoded (RFC 2392 §2)."""
    uri = decode_unlabelled(octets)
    if "&" in uri:
        uri = html.unescape(uri)
    if uri[:4].lower() == "cid:":
        uri = f"cid:{uri[4:]}"
    yield uri
    if "%" in uri:
        yield unquote(uri)
