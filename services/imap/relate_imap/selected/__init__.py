"""The selected mailbox of a session: message numbers, \\Recent, and the updates that the client has yet to hear."""
