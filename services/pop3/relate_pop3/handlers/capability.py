"""CAPA, LANG, UTF8: what the server offers, and how texts are encoded (RFC 2449, RFC 6856)."""

from collections.abc import Iterator

from relate_pop3 import replies
from relate_pop3.commands import Bare, Lang
from relate_pop3.conversation import Conversation
from relate_pop3.states import State
from relate_wire.reply import Reply


async def on_capa(conversation: Conversation, _: Bare) -> Reply:
    """RFC 2449 §5"""
    return replies.multi_line("Capability list follows", _capabilities(conversation))


async def on_lang(_: Conversation, command: Lang) -> Reply:
    """RFC 6856 §3: English is the only language."""
    if not command.language:
        return replies.multi_line("Language listing follows:", ["en English"])
    if command.language == "*" or command.language.partition("-")[0] == "en":
        return replies.ok("en Language changed")
    return replies.refused("Only English is available")


async def on_utf8(conversation: Conversation, _: Bare) -> Reply:
    """RFC 6856 §2.1"""
    conversation.utf8 = True
    return replies.ok("UTF8 enabled")


def _capabilities(conversation: Conversation) -> Iterator[str]:
    """The capabilities of RFC 2449 §6. Those announced before the login are announced after it, too (§5)."""
    context, peer = conversation.context, conversation.peer
    yield from ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "LANG", "UTF8 USER")
    if mechanisms := context.mechanisms(peer):
        yield "USER"
        yield f"SASL {' '.join(mechanisms)}"
    if context.offers_tls(peer):
        yield "STLS"
    if conversation.state is State.TRANSACTION:  # hidden before the login, for security (RFC 2449 §6.9)
        yield "IMPLEMENTATION Relate-Mail"
