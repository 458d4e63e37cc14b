"""Accounts of the tests, and the messages that they send."""

from email.message import EmailMessage
from email.policy import SMTP
from typing import NamedTuple, Self
from uuid import uuid4

from tests.support.product import Product


class Account(NamedTuple):
    """The credentials of a user."""

    address: str
    key: str

    @classmethod
    def create(cls, product: Product, name: str, *options: str) -> Self:
        """Create a user with a unique address; `options` are those of `relate user add`."""
        address = f"{name}.{uuid4().hex[:8]}@example.test"
        return cls(address, product.add_user(address, *options))


def message(sender: str, *recipients: str, subject: str = "Lunch", text: str = "At noon?\n") -> EmailMessage:
    """Create a message like a mail client's."""
    created = EmailMessage(SMTP)
    created["From"] = sender
    created["To"] = ", ".join(recipients)
    created["Subject"] = subject
    created["Message-ID"] = f"<{uuid4()}@example.test>"
    created.set_content(text)
    return created
