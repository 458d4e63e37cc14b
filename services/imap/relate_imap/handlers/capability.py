"""CAPABILITY, ENABLE, ID, NOOP: what the server can do, and what the client would like of it."""

from collections.abc import Iterator

from relate_imap import responses
from relate_imap.commands import Atoms, Id, NoArguments
from relate_imap.conversation import Conversation, Extension
from relate_imap.replies import TaggedResponse, ok
from relate_imap.states import State

# RFC 3501 and 9051; then what both have in addition (RFC 9051 Appendix E lists what rev2 took over).
BEFORE_LOGIN = ("IMAP4rev2", "IMAP4rev1", "SASL-IR", "LITERAL+", "ID", "ENABLE")
AFTER_LOGIN = (
    "IDLE",
    "NAMESPACE",
    "UIDPLUS",
    "MOVE",
    "UNSELECT",
    "CHILDREN",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "STATUS=SIZE",
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "CONDSTORE",
    "QRESYNC",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "MULTIAPPEND",
    "BINARY",
    "OBJECTID",
    "SAVEDATE",
    "PREVIEW",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "UTF8=ACCEPT",
    "PARTIAL",
    "REPLACE",
)

ENABLED_BY: dict[str, frozenset[Extension]] = {
    "CONDSTORE": frozenset({Extension.CONDSTORE}),
    "QRESYNC": frozenset({Extension.QRESYNC, Extension.CONDSTORE}),  # RFC 7162 §3.2.3
    "UTF8=ACCEPT": frozenset({Extension.UTF8}),
    "IMAP4REV2": frozenset({Extension.REV2}),
}
"""What ENABLE knows, in capitals; everything else is ignored (RFC 5161 §3.1)."""


def capabilities(conversation: Conversation) -> Iterator[str]:
    """What is offered now: how to log in before that, and everything else after it."""
    yield from BEFORE_LOGIN
    context, peer = conversation.context, conversation.peer
    if conversation.state is State.NOT_AUTHENTICATED:
        if context.offers_tls(peer):
            yield "STARTTLS"
        mechanisms = context.mechanisms(peer)
        yield from (f"AUTH={mechanism}" for mechanism in mechanisms)
        if not mechanisms:
            yield "LOGINDISABLED"
        return
    yield from AFTER_LOGIN
    yield f"APPENDLIMIT={context.append_limit}"
    if not conversation.compressed:
        yield "COMPRESS=DEFLATE"


async def on_capability(conversation: Conversation, _: NoArguments) -> TaggedResponse:
    """RFC 9051 §6.1.1"""
    line = f"* CAPABILITY {' '.join(capabilities(conversation))}\r\n"
    return ok("That is all", untagged=line.encode())


async def on_noop(_: Conversation, __: NoArguments) -> TaggedResponse:
    """RFC 9051 §6.1.2, and CHECK of RFC 3501: everything is on disk already."""
    return ok("Still here")


async def on_id(_: Conversation, __: Id) -> TaggedResponse:
    """RFC 2971. What the client says of itself is nobody's business but the log's, and we keep none of it."""
    fields = b" ".join(map(responses.string, (b"name", b"Relate Mail")))
    return ok("Pleased to meet you", untagged=b"* ID (%b)\r\n" % fields)


async def on_enable(conversation: Conversation, command: Atoms) -> TaggedResponse:
    """RFC 5161. Said of those that were not on before; the rest is passed over."""
    known = [word for word in dict.fromkeys(command.atoms) if word in ENABLED_BY]
    fresh = [word for word in known if not ENABLED_BY[word] <= conversation.enabled]
    for word in fresh:
        conversation.enabled |= ENABLED_BY[word]
    names = "".join(f" {'IMAP4rev2' if word == 'IMAP4REV2' else word}" for word in fresh)
    return ok("Enabled", untagged=f"* ENABLED{names}\r\n".encode())
