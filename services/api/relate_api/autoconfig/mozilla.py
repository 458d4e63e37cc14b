"""Mozilla's autoconfiguration file, version 1.1, which Thunderbird, Evolution and others read. Pure.

The program replaces `%EMAILADDRESS%` by the address that its user has typed; the password is a key.
"""

from xml.etree.ElementTree import Element, SubElement, tostring

from relate_api.autoconfig.connections import Connection, Protocol, incoming, outgoing
from relate_api.installation import Installation

MEDIA_TYPE = "application/xml"


def client_config(domain: str, installation: Installation) -> bytes:
    """The file for a domain."""
    root = Element("clientConfig", version="1.1")
    provider = SubElement(root, "emailProvider", id=domain)
    for name in ("domain", "displayName", "displayShortName"):
        SubElement(provider, name).text = domain
    for connection in (*incoming(installation), *outgoing(installation)):
        _add_server(provider, connection)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _add_server(provider: Element, connection: Connection) -> None:
    direction = "outgoingServer" if connection.protocol is Protocol.SMTP else "incomingServer"
    server = SubElement(provider, direction, type=connection.protocol.value)
    SubElement(server, "hostname").text = connection.server
    SubElement(server, "port").text = str(connection.port)
    SubElement(server, "socketType").text = "SSL" if connection.implicit_tls else "STARTTLS"
    SubElement(server, "authentication").text = "password-cleartext"  # a plain password, inside TLS
    SubElement(server, "username").text = "%EMAILADDRESS%"
