"""What a client gets that did not ask for UTF8, where a header holds UTF-8 (RFC 6856 §2.1, RFC 6857).

Such octets must not be sent as they are. To refuse the message would stop most clients for good, so a field with such
characters is written in ASCII: text as encoded-words, parameters as RFC 2231 has them, and an address that ASCII cannot
hold as the name of an empty group. The body is left alone, and so is a field in some other charset.
"""

from relate_pop3.surrogate.header import encode_header

__all__ = ["encode_header"]
