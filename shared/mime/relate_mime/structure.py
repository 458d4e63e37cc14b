"""BODYSTRUCTURE (RFC 9051 §7.5.2) of a tree of parts, with extension data."""

from relate_mime.content import Kind
from relate_mime.envelope import read_envelope
from relate_mime.scan import Node


def encode_bodystructure(raw: bytes, node: Node) -> bytes:
    """The parenthesized list of a part and its descendants."""
    content = node.content
    if content.kind is Kind.MULTIPART:
        children = b"".join([encode_bodystructure(raw, child) for child in node.children])
        return b"(%b %b %b)" % (children, content.encoded_start, content.encoded_end)
    size = node.end - node.body
    return b"(%b %d%b %b)" % (content.encoded_start, size, _encode_specifics(raw, node), content.encoded_end)


def _encode_specifics(raw: bytes, node: Node) -> bytes:
    """The members that only text and message parts have. Counts LFs as lines, like Dovecot."""
    if node.content.kind is Kind.BASIC:
        return b""
    lines = raw.count(b"\n", node.body, node.end)
    if node.content.kind is Kind.TEXT:
        return b" %d" % lines
    message = node.children[0]
    envelope = read_envelope(message.fields).encoded
    return b" %b %b %d" % (envelope, encode_bodystructure(raw, message), lines)
