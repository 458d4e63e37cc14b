"""What each command does: one file per family, one `on_<verb>` each, named by its verb.

A handler takes the conversation and the command, awaits ports, and returns an `Answer` or raises a refusal. It sends
nothing itself, and tells of no change that others made: the session does that after each command.
"""
