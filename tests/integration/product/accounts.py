"""Who the tests are, and what they write to each other."""

from email.message import EmailMessage
from email.policy import SMTP
from typing import NamedTuple, Self
from uuid import uuid4

from tests.support.product import Product


class Account(NamedTuple):
    """A user: what it logs in with."""

    address: str
    key: str

    @classmethod
    def create(cls, product: Product, name: str, *options: str) -> Self:
        """A user of whom nobody has heard before; `options` are `relate user add`'s."""
        address = f"{name}.{uuid4().hex[:8]}@example.test"
        return cls(address, product.add_user(address, *options))


def message(sender: str, *recipients: str, subject: str = "Lunch", text: str = "At noon?\n") -> EmailMessage:
    """A message as a mail client writes it."""
    made = EmailMessage(SMTP)
    made["From"] = sender
    made["To"] = ", ".join(recipients)
    made["Subject"] = subject
    made["Message-ID"] = f"<{uuid4()}@example.test>"
    made.set_content(text)
    return made
