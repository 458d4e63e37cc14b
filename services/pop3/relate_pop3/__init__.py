"""The POP3 server (RFC 1939). Start reading at `session.COMMANDS`."""
