"""Mailboxes for tests: a mail server that accepts every recipient and login, and waits for messages by its API."""

from relate_mail.testing.api import ApiError, NoMessage
from relate_mail.testing.container import IMAGE, RelateContainer
from relate_mail.testing.mailbox import Mailbox, Message
from relate_mail.testing.process import RelateProcess, StartError
from relate_mail.testing.server import Namespace, Ports, Server

__all__ = [
    "IMAGE",
    "ApiError",
    "Mailbox",
    "Message",
    "Namespace",
    "NoMessage",
    "Ports",
    "RelateContainer",
    "RelateProcess",
    "Server",
    "StartError",
]
