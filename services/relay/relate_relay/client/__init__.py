"""The client side of SMTP (RFC 5321): a pure engine, and its connection. Start reading at `transaction.Transaction`."""
