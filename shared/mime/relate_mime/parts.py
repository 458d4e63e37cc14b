"""Flatten the tree of parts to the list that is stored, with IMAP's part specifiers (RFC 9051 §6.4.5)."""

from collections.abc import Collection

from relate_mime.content import Content, Kind, Presentation
from relate_mime.scan import Node
from relate_mime.types import Part


def list_parts(root: Node, embedded: Collection[str]) -> tuple[Part, ...]:
    """All parts, outer before inner (see `index_message`). Parts with a URI in `embedded` are no attachments."""
    lister = _Lister(embedded)
    lister.add_message(root, "", attached=False)
    return tuple(lister.parts)


class _Lister:
    """`attached` means inside an attached message: only the message is an attachment, not its parts."""

    def __init__(self, embedded: Collection[str]) -> None:
        self.embedded = frozenset(embedded)
        self.parts: list[Part] = []

    def add_message(self, message: Node, section: str, *, attached: bool) -> None:
        self.parts.append(_make_part(message, section, "", attachment=False))
        if message.content.kind is Kind.MULTIPART:
            self.add_children(message, section, attached=attached)
        else:
            self.add_part(message, section + "1", attached=attached)

    def add_children(self, multipart: Node, prefix: str, *, attached: bool) -> None:
        root = _find_root(multipart)
        for number, child in enumerate(multipart.children, 1):
            self.add_part(child, f"{prefix}{number}", attached=attached, is_root=child is root)

    def add_part(self, node: Node, section: str, *, attached: bool, is_root: bool = False) -> None:
        content = node.content
        attachment = not attached and self.is_attachment(content, is_root=is_root)
        self.parts.append(_make_part(node, section, content.filename, attachment=attachment))
        if content.kind is Kind.MULTIPART:
            self.add_children(node, section + ".", attached=attached)
        elif content.kind is Kind.MESSAGE:
            self.add_message(node.children[0], section + ".", attached=attached or attachment)

    def is_attachment(self, content: Content, *, is_root: bool) -> bool:
        if content.presentation is Presentation.FILE:
            return not is_root and self.embedded.isdisjoint(content.uris)
        return content.presentation is Presentation.ATTACHMENT


def _find_root(multipart: Node) -> Node | None:
    """The root of a multipart/related (RFC 2387 §3.2), if it is text."""
    if multipart.content.media_type != "multipart/related":
        return None
    start = multipart.content.start
    first = multipart.children[0]
    root = next((child for child in multipart.children if start and start in child.content.uris), first)
    return root if root.content.kind is Kind.TEXT else None


def _make_part(node: Node, section: str, filename: str, *, attachment: bool) -> Part:
    content = node.content
    return Part(
        section,
        node.header,
        node.body,
        node.end,
        content.media_type,
        content.encoding,
        content.charset,
        filename,
        attachment,
    )
