"""The IMAP server (RFC 9051, RFC 3501 and the extensions in docs/protocols.md). See README.md for its packages."""
