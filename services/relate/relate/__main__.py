"""`python -m relate` is `relate`."""

from relate.cli import main

main()
