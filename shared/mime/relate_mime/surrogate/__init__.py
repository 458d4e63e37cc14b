"""Surrogate headers in ASCII, for clients and servers that do not take UTF-8 (RFC 6856 §2.1, RFC 6857, RFC 6531).

Text becomes encoded-words, parameters those of RFC 2231. `encode_header` is for POP3, whose clients would stop at a
message that is refused: it replaces an address that is not ASCII by an empty group, and leaves a field in another
charset unchanged. `encode_field` is for the relay, which must not change what a field means.
"""

from relate_mime.surrogate.header import encode_field, encode_header

__all__ = ["encode_field", "encode_header"]
