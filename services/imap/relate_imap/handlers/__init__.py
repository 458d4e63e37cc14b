"""Command handlers, one file per family of verbs, one function `on_<verb>` per command.

A handler takes the conversation and the command, awaits ports, and returns a `TaggedResponse` or raises a refusal. It
writes nothing to the client; the session adds the updates from other sessions after each command.
"""
