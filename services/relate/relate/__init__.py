"""The `relate` command: the embedded edition (all services in one process), and administration.

cli       the command line: what there is to say, and nothing of how it is done
embedded  composes the services
admin     users and keys
doctor    looks at what could be wrong, and says what to do
demo      the account of a first start
traffic   demo traffic: who comes, and how often
visits    what each visit is
"""
