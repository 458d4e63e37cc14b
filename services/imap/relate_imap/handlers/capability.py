"""CAPABILITY, ENABLE, ID, NOOP: what the server supports and what the client enables."""

from collections.abc import Iterator

from relate_imap import responses
from relate_imap.commands import Atoms, Id, NoArguments
from relate_imap.conversation import Conversation, Extension
from relate_imap.replies import TaggedResponse, ok
from relate_imap.states import State

# RFC 3501 and RFC 9051, then extensions (RFC 9051 Appendix E lists those that are part of IMAP4rev2).
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
"""What ENABLE accepts, in capitals; everything else is ignored (RFC 5161 §3.1)."""


def capabilities(conversation: Conversation) -> Iterator[str]:
    """The capabilities in this state: before login only those that concern logging in."""
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
    return ok("Capability completed", untagged=line.encode())


async def on_noop(_: Conversation, command: NoArguments) -> TaggedResponse:
    """RFC 9051 §6.1.2, and CHECK of RFC 3501: everything is on disk already."""
    return ok(f"{command.verb.capitalize()} completed")


async def on_id(_: Conversation, __: Id) -> TaggedResponse:
    """RFC 2971. The client's fields are ignored."""
    fields = b" ".join(map(responses.string, (b"name", b"Relate Mail")))
    return ok("Id completed", untagged=b"* ID (%b)\r\n" % fields)


async def on_enable(conversation: Conversation, command: Atoms) -> TaggedResponse:
    """RFC 5161. ENABLED lists the extensions that were not enabled before; unknown ones are ignored."""
    supported = [word for word in dict.fromkeys(command.atoms) if word in ENABLED_BY]
    added = [word for word in supported if not ENABLED_BY[word] <= conversation.enabled]
    for word in added:
        conversation.enabled |= ENABLED_BY[word]
    names = "".join(f" {'IMAP4rev2' if word == 'IMAP4REV2' else word}" for word in added)
    return ok("Enabled", untagged=f"* ENABLED{names}\r\n".encode())
