# The entries of requirements.lock, with their hashes, of the packages that a resolution names:
#   awk --file deploy/locked.awk resolved.txt requirements.lock
# The resolution decides what is installed, the lock which files may be.

/^[a-z0-9]/ { split($0, entry, "==") }
NR == FNR { wanted[entry[1]]; next }
entry[1] in wanted
