"""The `relate` command: the embedded edition (all services in one process) and administration.

cli                 the command line: registers all commands
commands            commands for accounts, backup and mail transfer
output              tables, JSON and notes that commands print
settings            all settings, loaded when a command runs
database_discovery  finds the database when no setting names one
expected_errors     errors that are printed as one line, without a traceback
embedded            starts the services in this process
startup_banner      what `relate serve` prints when it is ready
admin               users, keys, mailboxes
backup              backup and restore of SQLite
transfer            import and export of mail
doctor              health checks, each with a remedy
dev                 the mode for tests of other programs
demo                the demo account and a load generator
"""
