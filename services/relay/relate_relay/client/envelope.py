"""The envelope of a message: its sender and recipients, and what the mail transaction requires (RFC 5321 §2.3.1)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient, with the parameters of RFC 3461 §4.1 and §4.2, empty if they were not given.

    `orcpt` is in the form of the command, `address-type;xtext`; see `xtext.encode_xtext`.
    """

    address: str
    notify: str = ""
    orcpt: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope. `sender` is empty for the null reverse-path; `size` is in octets, 0 if it is unknown.

    `ret` and `envid` are the parameters of RFC 3461 §4.3 and §4.4, empty if they were not given; `envid` is in xtext.
    `needs_8bit` means that the content has octets above 127, `needs_utf8` that its header has (RFC 6532).
    """

    sender: str
    recipients: tuple[Recipient, ...]
    size: int = 0
    needs_8bit: bool = False
    needs_utf8: bool = False
    ret: str = ""
    envid: str = ""

    @property
    def requires_smtputf8(self) -> bool:
        """Whether the transaction needs SMTPUTF8, because of the header or of an address (RFC 6531 §3.3)."""
        return self.needs_utf8 or not (
            self.sender.isascii() and all(each.address.isascii() and each.orcpt.isascii() for each in self.recipients)
        )
