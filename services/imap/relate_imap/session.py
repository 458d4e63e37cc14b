"""The IMAP session: the state machine of one connection (RFC 9051 §3), without a socket and without a database.

Theory of operation:

The states are in `states`. `COMMANDS` has for each command the states in which it is allowed and its handler. In any
other state the command is answered BAD and changes nothing. So a handler may rely on its state: a handler of
AUTHENTICATED has an account, a handler of SELECTED has a selected mailbox.

    NOT_AUTHENTICATED   LOGIN, AUTHENTICATE                       → AUTHENTICATED
    AUTHENTICATED       SELECT, EXAMINE                           → SELECTED
    SELECTED            SELECT, EXAMINE                           → SELECTED; AUTHENTICATED if it cannot be opened
    SELECTED            CLOSE, UNSELECT                           → AUTHENTICATED
    SELECTED            another session deletes the mailbox       → AUTHENTICATED, with * OK [CLOSED]
    any                 LOGOUT                                    → LOGOUT

The state is an attribute of the `Conversation`, which is everything that one client can change: its login, the enabled
extensions, the selected mailbox. Only handlers and `selected.updates` change it. `Context` is what all sessions of a
server share.

A handler writes nothing to the client. It returns the tagged response with the untagged responses that precede it, or
raises one of `replies.REFUSALS`. `ImapSession.handle` then appends the pending updates of the selected mailbox
(`selected.updates`: EXISTS, EXPUNGE or VANISHED, FETCH) before the tagged line, so that the client has them when its
command completes (RFC 9051 §7). EXPUNGE waits while message numbers are in use. Three commands send more than one
reply: a large FETCH has a body, which the driver writes chunk by chunk; AUTHENTICATE and IDLE await `Client.ask`, which
sends a continuation request and, during IDLE, updates as they are committed.

Any other exception, the store's included, is raised to the driver, which logs and traces it and sends `error_reply`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from relate_imap import replies
from relate_imap.commands import Command, Invalid
from relate_imap.context import Context
from relate_imap.conversation import Conversation
from relate_imap.framing import Frame, ImapFramer
from relate_imap.grammar import parse
from relate_imap.handlers import (
    append,
    capability,
    copy_move,
    expunge,
    fetch,
    idle,
    list_status,
    login,
    mailboxes,
    quota,
    search,
    select,
    sort,
    store,
    thread,
)
from relate_imap.replies import TaggedResponse
from relate_imap.selected.updates import pending_updates
from relate_imap.states import ANY, AUTHENTICATED, NOT_AUTHENTICATED, SELECTED, State
from relate_wire.ports import Client, Farewell, Framer, Peer, Session
from relate_wire.reply import Reply

Handler = Callable[[Conversation, Any], Awaitable[TaggedResponse]]


class Rule(NamedTuple):
    """The states in which a command is allowed, and its handler."""

    states: frozenset[State]
    handler: Handler


COMMANDS: Mapping[str, Rule] = {
    "CAPABILITY": Rule(ANY, capability.on_capability),
    "NOOP": Rule(ANY, capability.on_noop),
    "ID": Rule(ANY, capability.on_id),
    "LOGOUT": Rule(ANY, login.on_logout),
    "STARTTLS": Rule(NOT_AUTHENTICATED, login.on_starttls),
    "AUTHENTICATE": Rule(NOT_AUTHENTICATED, login.on_authenticate),
    "LOGIN": Rule(NOT_AUTHENTICATED, login.on_login),
    "COMPRESS": Rule(AUTHENTICATED, login.on_compress),
    "ENABLE": Rule(AUTHENTICATED, capability.on_enable),
    "NAMESPACE": Rule(AUTHENTICATED, list_status.on_namespace),
    "LIST": Rule(AUTHENTICATED, list_status.on_list),
    "LSUB": Rule(AUTHENTICATED, list_status.on_lsub),
    "STATUS": Rule(AUTHENTICATED, list_status.on_status),
    "SELECT": Rule(AUTHENTICATED, select.on_select),
    "EXAMINE": Rule(AUTHENTICATED, select.on_select),
    "CREATE": Rule(AUTHENTICATED, mailboxes.on_create),
    "DELETE": Rule(AUTHENTICATED, mailboxes.on_delete),
    "RENAME": Rule(AUTHENTICATED, mailboxes.on_rename),
    "SUBSCRIBE": Rule(AUTHENTICATED, mailboxes.on_subscribe),
    "UNSUBSCRIBE": Rule(AUTHENTICATED, mailboxes.on_unsubscribe),
    "APPEND": Rule(AUTHENTICATED, append.on_append),
    "IDLE": Rule(AUTHENTICATED, idle.on_idle),
    "GETQUOTA": Rule(AUTHENTICATED, quota.on_getquota),
    "GETQUOTAROOT": Rule(AUTHENTICATED, quota.on_getquotaroot),
    "SETQUOTA": Rule(AUTHENTICATED, quota.on_setquota),
    "CHECK": Rule(SELECTED, capability.on_noop),
    "CLOSE": Rule(SELECTED, select.on_close),
    "UNSELECT": Rule(SELECTED, select.on_unselect),
    "EXPUNGE": Rule(SELECTED, expunge.on_expunge),
    "UID EXPUNGE": Rule(SELECTED, expunge.on_uid_expunge),
    "FETCH": Rule(SELECTED, fetch.on_fetch),
    "UID FETCH": Rule(SELECTED, fetch.on_fetch),
    "STORE": Rule(SELECTED, store.on_store),
    "UID STORE": Rule(SELECTED, store.on_store),
    "COPY": Rule(SELECTED, copy_move.on_copy),
    "UID COPY": Rule(SELECTED, copy_move.on_copy),
    "MOVE": Rule(SELECTED, copy_move.on_move),
    "UID MOVE": Rule(SELECTED, copy_move.on_move),
    "REPLACE": Rule(SELECTED, append.on_replace),
    "UID REPLACE": Rule(SELECTED, append.on_replace),
    "SEARCH": Rule(SELECTED, search.on_search),
    "UID SEARCH": Rule(SELECTED, search.on_search),
    "SORT": Rule(SELECTED, sort.on_sort),
    "UID SORT": Rule(SELECTED, sort.on_sort),
    "THREAD": Rule(SELECTED, thread.on_thread),
    "UID THREAD": Rule(SELECTED, thread.on_thread),
}


class ImapEngine:
    """The IMAP engine of one connection: a `relate_wire.ports.Engine`."""

    def __init__(self, client: Client[Frame], context: Context) -> None:
        framer = ImapFramer(client.content)
        self._conversation = Conversation(client, context, client.peer)
        self.framer: Framer[Frame] = framer
        self.session: Session[Command] = ImapSession(self._conversation, partial(framer.allow, context.append_limit))

    def parse(self, frame: Frame) -> Command:
        """See `grammar.parse`."""
        return parse(frame, utf8=self._conversation.utf8)


class ImapSession:
    """One client's session: a `relate_wire.ports.Session`. `welcome` is called after a successful login."""

    in_transaction = False  # IMAP has no transactions

    def __init__(self, conversation: Conversation, welcome: Callable[[], None]) -> None:
        self._conversation = conversation
        self._welcome = welcome

    @property
    def state(self) -> str:
        """The state in the RFC's words."""
        return self._conversation.state.value

    async def greet(self) -> Reply:
        """The greeting includes the capabilities, which saves each client a round trip (RFC 9051 §7.1)."""
        capabilities = " ".join(capability.capabilities(self._conversation))
        return replies.ok("Relate Mail ready", f"CAPABILITY {capabilities}").reply("*")

    async def handle(self, command: Command) -> Reply:
        """Execute one command. Refusals become replies; errors of the store and bugs are raised."""
        response = await self._execute(command)
        if response.body is not None:
            return Reply(response.untagged, code=response.status, body=self._stream(command, response, response.body))
        return response.reply(command.tag, response.untagged + await pending_updates(self._conversation, command.verb))

    def error_reply(self, command: Command, error: Exception) -> Reply:
        """A tagged NO; the session continues."""
        return replies.from_error(error).reply(command.tag)

    def farewell(self, reason: Farewell) -> bytes:
        """The untagged BYE."""
        return replies.FAREWELLS[reason]

    def secured(self, peer: Peer) -> None:
        """Adopt the TLS peer. A session has learnt nothing in clear text that it must discard (RFC 9051 §6.2.1)."""
        self._conversation.peer = peer

    async def close(self) -> None:
        """Release the mailbox and the session; \\Deleted messages are not expunged."""
        conversation = self._conversation
        await select.leave(conversation)
        if conversation.granted is not None:
            conversation.context.sessions.release(conversation.account)
            conversation.granted = None
        if conversation.unwatch is not None:
            conversation.unwatch()
            conversation.unwatch = None

    async def _execute(self, command: Command) -> TaggedResponse:
        if isinstance(command, Invalid):
            if command.saves_result:  # RFC 5182 §2.1: after a NO the saved result is empty
                self._conversation.saved_uids = ()
            return (replies.no if command.refused else replies.bad)(command.reason, command.code)
        rule = COMMANDS[command.verb]
        state = self._conversation.state
        if state not in rule.states:
            return replies.bad(f"Not allowed when {state}")
        try:
            response = await rule.handler(self._conversation, command)
        except replies.REFUSALS as refusal:
            return replies.from_error(refusal)
        if state is State.NOT_AUTHENTICATED and self._conversation.state is State.AUTHENTICATED:
            self._welcome()
        return response

    async def _stream(
        self, command: Command, response: TaggedResponse, body: AsyncIterator[bytes | TaggedResponse]
    ) -> AsyncIterator[bytes | Reply]:
        """The body, then the pending updates, then the tagged line.

        An error of the store between two messages fails the command and keeps the connection.
        """
        final: TaggedResponse | None = None
        try:
            async for chunk in body:
                if isinstance(chunk, TaggedResponse):
                    final = chunk
                else:
                    yield chunk
        except replies.REFUSALS as refusal:
            final = replies.from_error(refusal)
        final = final or replace(response, untagged=b"")  # the untagged responses preceded the body
        yield final.reply(command.tag, final.untagged + await pending_updates(self._conversation, command.verb))
