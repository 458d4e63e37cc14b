"""Removes credentials from the replies to AUTH: some servers quote the line that they do not understand."""

from collections.abc import Iterable

from relate_relay.client.replies import ServerReply

OMITTED = "(text omitted, because it repeats the credentials)"
# So many characters of a secret reveal that it is quoted, also where the line is cut within it.
PREFIX_CHARACTERS = 8


def without_secrets(reply: ServerReply, secrets: Iterable[str]) -> ServerReply:
    """Return the reply, its text omitted if it contains the front of a secret."""
    fronts = [secret[:PREFIX_CHARACTERS] for secret in secrets]
    if any(front in line for front in fronts for line in reply.lines):
        return ServerReply(reply.code, reply.enhanced, (OMITTED,))
    return reply
