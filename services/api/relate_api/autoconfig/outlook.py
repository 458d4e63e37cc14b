"""Microsoft's autodiscover in its form for POP3 and IMAP: the `outlook` request and response schemas. Pure.

The request is parsed by expat. One with a document type is refused, so that it can declare no entity: nothing is
expanded or fetched, and the cost is linear.
"""

from typing import NoReturn
from xml.etree.ElementTree import Element, SubElement, tostring
from xml.parsers.expat import ExpatError, ParserCreate

from relate_api.autoconfig.connections import Connection, Protocol, incoming, outgoing
from relate_api.installation import Installation

MEDIA_TYPE = "application/xml"
MAX_REQUEST_OCTETS = 16_384

REQUEST_SCHEMA = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
RESPONSE_SCHEMA = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK_SCHEMA = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"

_ADDRESS_PATHS = (
    [f"{REQUEST_SCHEMA} {name}" for name in ("Autodiscover", "Request", "EMailAddress")],
    ["Autodiscover", "Request", "EMailAddress"],  # some programs leave the namespace out
)
_MAX_DEPTH = 20
_TYPES = {Protocol.IMAP: "IMAP", Protocol.POP3: "POP3", Protocol.SMTP: "SMTP"}


class _Refused(Exception):
    """The request has what none needs."""


def requested_address(octets: bytes) -> str | None:
    """The address that a request asks about; None if it is not a request, is too long, or names none or several."""
    if len(octets) > MAX_REQUEST_OCTETS:
        return None
    parser = ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    path: list[str] = []
    texts: list[str] = []

    def start(name: str, _: object) -> None:
        path.append(name)
        if len(path) > _MAX_DEPTH:
            raise _Refused
        if path in _ADDRESS_PATHS:
            texts.append("")

    def end(_: str) -> None:
        path.pop()

    def add_text(text: str) -> None:
        if path in _ADDRESS_PATHS:
            texts[-1] += text

    def refuse(*_: object) -> NoReturn:
        raise _Refused

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = add_text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(octets, True)
    except (ExpatError, _Refused, ValueError, LookupError):  # the last two: an unknown encoding
        return None
    return texts[0].strip() if len(texts) == 1 else None


def settings_response(address: str, installation: Installation) -> bytes:
    """The response about an address: the best connection of each protocol."""
    root = Element("Autodiscover", xmlns=RESPONSE_SCHEMA)
    response = SubElement(root, "Response", xmlns=OUTLOOK_SCHEMA)
    account = SubElement(response, "Account")
    SubElement(account, "AccountType").text = "email"
    SubElement(account, "Action").text = "settings"
    best: dict[Protocol, Connection] = {}
    for connection in (*incoming(installation), *outgoing(installation)):
        best.setdefault(connection.protocol, connection)
    for connection in best.values():
        _add_protocol(account, connection, address)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _add_protocol(account: Element, connection: Connection, address: str) -> None:
    protocol = SubElement(account, "Protocol")
    values = {
        "Type": _TYPES[connection.protocol],
        "Server": connection.server,
        "Port": str(connection.port),
        "DomainRequired": "off",
        "LoginName": address,
        "SPA": "off",
        "SSL": "on",
        "Encryption": "SSL" if connection.implicit_tls else "TLS",
        "AuthRequired": "on",
    }
    if connection.protocol is Protocol.SMTP:
        values |= {"UsePOPAuth": "off", "SMTPLast": "off"}
    for name, text in values.items():
        SubElement(protocol, name).text = text
