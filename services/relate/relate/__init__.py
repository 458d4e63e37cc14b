"""The `relate` command: the embedded edition (all services in one process), and administration.

cli               the command line: what there is to say, and nothing of how it is done
cli_accounts      its commands for users, keys and mailboxes
printing          what commands print
settings          all settings, read when a command runs
default_database  which database is meant where no setting names one
failures          the errors that are told in one line
embedded          composes the services
banner            what a person sees when the server is ready
admin             users, keys and mailboxes
doctor            looks at what could be wrong, and says what to do
demo              the account of a first start
traffic           demo traffic: who comes, and how often
visits            what each visit is
"""
