"""Surrogate headers in ASCII, for clients that did not send UTF8 (RFC 6856 §2.1, RFC 6857).

Such clients must not receive UTF-8 in a header. Most of them would stop at a message that is refused, so a field with
UTF-8 is rewritten in ASCII: text as encoded-words, parameters as in RFC 2231, and an address that is not ASCII as the
display name of an empty group. The body is unchanged, and so is a field in another charset.
"""

from relate_pop3.surrogate.header import encode_header

__all__ = ["encode_header"]
