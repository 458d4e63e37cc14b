"""The developers' mode: `relate dev`, a real mail server for tests, in which every recipient and login is valid.

run            the composition root: production's services with other ports
settings       `Dev__…`
listeners      refuses addresses that the Internet reaches
admin_key      the key with the scope `admin`, valid while the process runs
mailboxes      the users that this mode makes, and whether there are others
made_users     finds users of this mode in the database of a server that is not in it
directory      knows every recipient
authenticator  accepts every login
faults         injects faults by rules
fault_replies  what a faulty command is answered, in each protocol
fault_syntax   rules on the command line
seeding        mail from files, for the mailboxes of its recipients
ready          what is printed when all ports accept connections
"""
