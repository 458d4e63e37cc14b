"""The frame of every service process: worker processes, shared resources, signals and shutdown."""
