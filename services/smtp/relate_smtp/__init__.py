"""The SMTP server: submission (RFC 6409) and reception (RFC 5321). Start reading at `session.COMMANDS`."""
