"""The handlers of commands: one file per family, one function `on_<verb>` per command.

A handler takes the conversation and the command, awaits ports, and returns a `Reply` or raises one of
`replies.REFUSALS`. It writes nothing to the client itself, except for the challenges of AUTH.
"""
