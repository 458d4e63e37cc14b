"""Entity tags and thread ids of messages. Pure."""

import json
from hashlib import blake2b

from relate_mailstore.identifiers import thread_id
from relate_mailstore.types import ListedMessage, Message


def message_etag(listed: ListedMessage) -> str:
    """The strong entity tag (RFC 9110 §8.8.3) of a message: it changes with flags, labels and mailboxes."""
    state = json.dumps([str(listed.message.id), *listed.state]).encode()
    return f'"{blake2b(state, digest_size=12).hexdigest()}"'


def thread_of(message: Message) -> str:
    """The id of the message's thread, which is IMAP's THREADID."""
    index = message.index
    return thread_id(index.references, index.header_message_id, message.id)
