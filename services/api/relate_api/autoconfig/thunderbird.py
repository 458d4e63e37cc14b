"""The QR code from which Thunderbird for Android reads an account: its format "Export for Mobile". Pure.

Format version 1, specification of 2025-02-06: JSON of nested arrays, in UTF-8. It may have the password, which is a key
here: one that is made for the phone, shown once, and can be revoked.
"""

import json
from enum import IntEnum

from relate_api.autoconfig.connections import Connection, Protocol, incoming, outgoing
from relate_api.installation import Installation

FORMAT_VERSION = 1
ONLY_CODE = (1, 1)
"""The number of this code, and how many there are."""

_PROTOCOLS = {Protocol.IMAP: 0, Protocol.POP3: 1, Protocol.SMTP: 0}  # numbers of incoming, and of outgoing servers
_NAME_OF_ACCOUNT = ""  # the address


class _Security(IntEnum):
    STARTTLS = 2
    IMPLICIT_TLS = 3


class _Authentication(IntEnum):
    PASSWORD = 1  # in clear, inside TLS


def account_code(address: str, display_name: str, password: str, installation: Installation) -> str | None:
    """The text of the code; None without ports to read and to submit mail, or if the address is not ASCII."""
    readers, submitters = incoming(installation), outgoing(installation)
    if not readers or not submitters or not address or not address.isascii():
        return None
    account = [
        FORMAT_VERSION,
        ONLY_CODE,
        [*_server(readers[0], address), _NAME_OF_ACCOUNT, password],
        [[[*_server(submitters[0], address), password], [address, display_name]]],
    ]
    return json.dumps(account, ensure_ascii=False, separators=(",", ":"))


def _server(connection: Connection, address: str) -> list[str | int]:
    security = _Security.IMPLICIT_TLS if connection.implicit_tls else _Security.STARTTLS
    protocol = _PROTOCOLS[connection.protocol]
    return [protocol, connection.server, connection.port, security, _Authentication.PASSWORD, address]
