# Prints the entries of requirements.lock, with their hashes, for the packages in a resolution:
#   awk --file deploy/locked.awk resolved.txt requirements.lock
# The resolution selects the packages, the lock their versions and files.

/^[a-z0-9]/ { split($0, entry, "==") }
NR == FNR { wanted[entry[1]]; next }
entry[1] in wanted
