"""Apple's configuration profile for mail on iOS and macOS. Pure.

It contains no password: the person types a key when the profile is installed. It is not signed, which the system shows
then; TLS proves where it came from. The identifiers are those of the address, so that a newer profile replaces it.
"""

import plistlib
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from relate_api.autoconfig.connections import Connection, Protocol, incoming, outgoing
from relate_api.installation import Installation

MEDIA_TYPE = "application/x-apple-aspen-config"


def mail_profile(address: str, installation: Installation) -> bytes | None:
    """The profile for an address; None if mail can be read, or be submitted, by no port."""
    readers, submitters = incoming(installation), outgoing(installation)
    if not readers or not submitters:
        return None
    account = {
        **_payload("com.apple.mail.managed", f"account {address}", address),
        "EmailAccountDescription": address,
        "EmailAddress": address,
        "EmailAccountType": "EmailTypeIMAP" if readers[0].protocol is Protocol.IMAP else "EmailTypePOP",
        **_server("Incoming", readers[0], address),
        **_server("Outgoing", submitters[0], address),
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    profile = {
        **_payload("Configuration", f"profile {address}", address),
        "PayloadRemovalDisallowed": False,
        "PayloadContent": [account],
    }
    return plistlib.dumps(profile)


def _payload(kind: str, identity: str, address: str) -> dict[str, Any]:
    identifier = uuid5(NAMESPACE_URL, f"relate-mail {identity}")
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadUUID": str(identifier).upper(),
        "PayloadIdentifier": f"relate-mail.{identifier}",
        "PayloadDisplayName": address,
    }


def _server(direction: str, connection: Connection, address: str) -> dict[str, Any]:
    # On a port without implicit TLS, UseSSL means STARTTLS.
    return {
        f"{direction}MailServerHostName": connection.server,
        f"{direction}MailServerPortNumber": connection.port,
        f"{direction}MailServerUseSSL": True,
        f"{direction}MailServerAuthentication": "EmailAuthPassword",
        f"{direction}MailServerUsername": address,
    }
