"""The commands that `relate.cli` registers. Each imports its implementation when it runs, so that `--help` is fast."""
