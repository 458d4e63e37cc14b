"""The tree of parts as the flat list that is stored, with IMAP's part specifiers (RFC 9051 §6.4.5)."""

from relate_mailstore.mime.content import Kind
from relate_mailstore.mime.scan import Node
from relate_mailstore.types import Part


def list_parts(root: Node) -> tuple[Part, ...]:
    """All parts, outer before inner, as `index_message` describes them."""
    lister = _Lister()
    lister.add_message(root, "", attached=False)
    return tuple(lister.parts)


class _Lister:
    """`attached` says that a part lies in an attached message: that is the attachment, not what is in it."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def add_message(self, message: Node, section: str, *, attached: bool) -> None:
        self.parts.append(_make_part(message, section, "", attachment=False))
        if message.content.kind is Kind.MULTIPART:
            self.add_children(message, section, attached=attached)
        else:
            self.add_part(message, section + "1", attached=attached)

    def add_children(self, multipart: Node, prefix: str, *, attached: bool) -> None:
        for number, child in enumerate(multipart.children, 1):
            self.add_part(child, f"{prefix}{number}", attached=attached)

    def add_part(self, node: Node, section: str, *, attached: bool) -> None:
        content = node.content
        attachment = content.attachment and not attached
        self.parts.append(_make_part(node, section, content.filename, attachment=attachment))
        if content.kind is Kind.MULTIPART:
            self.add_children(node, section + ".", attached=attached)
        elif content.kind is Kind.MESSAGE:
            self.add_message(node.children[0], section + ".", attached=attached or attachment)


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
