"""Random mail through a system whose processes are killed, and the one true end of each."""
