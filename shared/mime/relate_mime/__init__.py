"""MIME parsing (RFC 2045, RFC 5322): a raw message is indexed once, at delivery; parts are decoded on request.

Pure: octets in, values out. No function raises for malformed input.
"""

from relate_mime.addresses import AddressStructure, decode_address, parse_addresses
from relate_mime.body import without_extensions
from relate_mime.dates import parse_date
from relate_mime.fields import Field, header_fields
from relate_mime.index import decode_part, index_message, part_text
from relate_mime.types import Address, MessageIndex, Part
from relate_mime.words import decode_header

__all__ = [
    "Address",
    "AddressStructure",
    "Field",
    "MessageIndex",
    "Part",
    "decode_address",
    "decode_header",
    "decode_part",
    "header_fields",
    "index_message",
    "parse_addresses",
    "parse_date",
    "part_text",
    "without_extensions",
]
