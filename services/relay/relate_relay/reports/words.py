"""What an enhanced code means to people: one sentence, and what the sender can do (RFC 3463 and its IANA registry)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from relate_relay.reports.types import Kind


class Explanation(NamedTuple):
    """What happened, as one sentence, and what the sender can do about it."""

    sentence: str
    remedy: str


_CHECK = "Check the address for typing errors, and send the message again to the right one."
_OTHER_WAY = "Ask the recipient in another way for an address that accepts mail."
_TELL = "Tell the recipient in another way, or send the message again later."
_LATER = "Send the message again later. If that fails too, tell the recipient in another way."
_SMALLER = "Send it without its attachments, or share large files in another way."
_POLICY = "The reply of that server may give the reason. Else ask the recipient in another way."
_OUR_ADMINISTRATOR = "Forward this report to the administrator of your mail system."
_THEIR_ADMINISTRATOR = (
    "Tell the recipient or their postmaster in another way; only their administrator can repair this."
)
_SIMPLER = "Send it as plain text, or with attachments of a common type."
_FEWER = "Send the message to fewer recipients at a time."

_STATUS = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})")

# By subject and detail, or by the whole code where the class changes the meaning. A subject alone is the fallback.
_EXPLANATIONS: Mapping[str, Explanation] = {
    # --- addresses (RFC 3463 §3.2)
    "1": Explanation("The recipient's mail server did not accept the address.", _CHECK),
    "1.1": Explanation("There is no mailbox with this address.", _CHECK),
    "4.1.1": Explanation("The mailbox is not available at the moment.", _LATER),
    "1.2": Explanation("The domain of the address does not exist, or has no mail server.", _CHECK),
    "4.1.2": Explanation("The mail server of the address's domain could not be found at the moment.", _LATER),
    "1.3": Explanation("The address is malformed.", _CHECK),
    "1.4": Explanation("The address belongs to more than one mailbox.", _OTHER_WAY),
    "1.6": Explanation("The recipient has moved, and has left no new address.", _OTHER_WAY),
    "1.7": Explanation("The recipient's mail server did not accept your address.", _OUR_ADMINISTRATOR),
    "1.8": Explanation("The recipient's mail server could not verify the domain of your address.", _OUR_ADMINISTRATOR),
    # RFC 7505 §4.2: the domain has a null MX. Exchange sends this code for an unknown mailbox.
    "1.10": Explanation("The address, or its whole domain, accepts no mail.", _OTHER_WAY),
    # --- mailboxes (§3.3)
    "2": Explanation("The recipient's mailbox did not accept the message.", _TELL),
    "2.1": Explanation("The recipient's mailbox is disabled.", _OTHER_WAY),
    "2.2": Explanation("The recipient's mailbox is full.", _TELL),
    "2.3": Explanation("The message is larger than the recipient's mailbox accepts.", _SMALLER),
    "2.4": Explanation("The mailing list could not distribute the message.", _THEIR_ADMINISTRATOR),
    # --- mail systems (§3.4)
    "3": Explanation("The recipient's mail server did not accept the message.", _LATER),
    "3.1": Explanation("The recipient's mail server has no space left.", _LATER),
    "3.2": Explanation("The recipient's mail server accepts no mail at the moment.", _LATER),
    "3.3": Explanation("The recipient's mail server does not support what the message requires.", _SIMPLER),
    "3.4": Explanation("The message is larger than the recipient's mail server accepts.", _SMALLER),
    "3.5": Explanation("The recipient's mail server is configured wrongly.", _THEIR_ADMINISTRATOR),
    # --- network and routing (§3.5)
    "4": Explanation("The recipient's mail server could not be reached.", _LATER),
    "4.1": Explanation("The recipient's mail server does not answer.", _LATER),
    "4.2": Explanation("The connection to the recipient's mail server was lost.", _LATER),
    "4.3": Explanation("The recipient's mail server could not be looked up in the DNS.", _LATER),
    "4.4": Explanation("No mail server could be found for the address's domain.", _CHECK),
    "4.5": Explanation("The recipient's mail server is overloaded.", _LATER),
    "4.6": Explanation("The message came back to our server: the mail servers form a loop.", _THEIR_ADMINISTRATOR),
    "4.7": Explanation("The message could not be delivered in the time that we try.", _LATER),
    # --- protocol (§3.6)
    "5": Explanation("The recipient's mail server and ours did not understand each other.", _OUR_ADMINISTRATOR),
    "5.3": Explanation("The message has too many recipients for the recipient's mail server.", _FEWER),
    # --- content (§3.7)
    "6": Explanation("The recipient's mail server did not accept the content of the message.", _SIMPLER),
    "6.1": Explanation("The recipient's mail server does not accept this type of content.", _SIMPLER),
    "6.2": Explanation("The message would have to be converted, which is not allowed.", _SIMPLER),
    "6.3": Explanation("The message would have to be converted, which is not possible.", _SIMPLER),
    "6.7": Explanation(  # RFC 6531 §3.5
        "The recipient's mail server does not support addresses with letters outside of ASCII.",
        "Send the message from and to addresses of ASCII letters.",
    ),
    "6.9": Explanation(
        "The recipient's mail server does not support a header with letters outside of ASCII.",
        "Send the message from and to addresses of ASCII letters.",
    ),
    # --- security and policy (§3.8)
    "7": Explanation("The recipient's mail server refused the message because of its policy.", _POLICY),
    "4.7.0": Explanation("The recipient's mail server refuses the message for the time being.", _LATER),
    "4.7.1": Explanation("The recipient's mail server refuses the message for the time being.", _LATER),
    "7.2": Explanation("You may not send to this mailing list.", "Ask the owner of the list to admit your address."),
    "7.4": Explanation("The recipient's mail server lacks a security feature that is required.", _THEIR_ADMINISTRATOR),
    "7.5": Explanation(
        "No secure connection (TLS) could be made to the recipient's mail server, and one is required.",
        _THEIR_ADMINISTRATOR,
    ),
    "7.8": Explanation("The mail server that we send through did not accept our password.", _OUR_ADMINISTRATOR),
    "7.10": Explanation("The mail server requires a secure connection (TLS).", _OUR_ADMINISTRATOR),
    "7.20": Explanation("The recipient's mail server found no valid DKIM signature.", _OUR_ADMINISTRATOR),  # RFC 7372
    "7.23": Explanation("The SPF record of your domain does not allow our server to send.", _OUR_ADMINISTRATOR),
    "7.25": Explanation("The address of our server has no matching name in the DNS.", _OUR_ADMINISTRATOR),
    "7.26": Explanation(
        "The recipient's mail server could not verify that the message is from your domain (SPF, DKIM, DMARC).",
        _OUR_ADMINISTRATOR,
    ),
    "7.27": Explanation("The domain of your address accepts no mail.", _OUR_ADMINISTRATOR),  # RFC 7505 §4.2
    "7.28": Explanation("The recipient's mail server receives too much mail from our server.", _LATER),
    "7.30": Explanation(  # RFC 8689 §5
        "The message requires TLS on its whole way, which the recipient's mail server does not support.",
        "Send the message without that requirement, or tell the recipient in another way.",
    ),
}
_SAME_AS = {"7.11": "7.10", "7.21": "7.20", "7.22": "7.20", "7.24": "7.23", "7.9": "7.8", "6.8": "6.7"}

_REFUSED = Explanation("The recipient's mail server refused the message.", _POLICY)
_NOT_YET = Explanation("The recipient's mail server could not accept the message.", _LATER)
SUPPRESSED = Explanation(
    "We did not send the message, because this mail system has listed the address as one that accepts no mail.",
    "Check the address for typing errors. If it is right, the administrator of your mail system can remove it from the "
    "list: relate suppress remove ADDRESS",
)
_RELAYED = Explanation(
    "The message was accepted by the recipient's mail server, which does not confirm the delivery to the mailbox.",
    "Nothing needs to be done. If it cannot be delivered after all, that server should tell you.",
)
_DELIVERED = Explanation("The message is in the recipient's mailbox.", "Nothing needs to be done.")


def explain(kind: Kind, status: str) -> Explanation:
    """Explain a result by its enhanced code: by its detail, else by its subject, else by its class."""
    if kind is Kind.RELAYED:
        return _RELAYED
    if kind is Kind.DELIVERED:
        return _DELIVERED
    match = _STATUS.fullmatch(status)
    if match is None:
        return _REFUSED if kind is Kind.FAILED else _NOT_YET
    subject, detail = str(int(match[2])), f"{int(match[2])}.{int(match[3])}"
    keys = (f"{match[1]}.{detail}", detail, _SAME_AS.get(detail, ""), subject)
    found = next((_EXPLANATIONS[key] for key in keys if key in _EXPLANATIONS), None)
    return found or (_REFUSED if match[1] == "5" else _NOT_YET)


def checked_status(kind: Kind, status: str) -> str:
    """Return the Status of a result: `status` without leading zeros, or `x.0.0` if it is malformed (RFC 3461 §6.3)."""
    match = _STATUS.fullmatch(status)
    return ".".join(str(int(number)) for number in match.groups()) if match else _UNSPECIFIED[kind]


_UNSPECIFIED = {Kind.FAILED: "5.0.0", Kind.DELAYED: "4.0.0", Kind.RELAYED: "2.0.0", Kind.DELIVERED: "2.0.0"}
