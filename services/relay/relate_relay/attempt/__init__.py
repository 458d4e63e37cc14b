"""An attempt to send a message to a destination, from the DNS to the last reply.

`connector` opens connections to the servers of a domain, one after another, with the TLS that `requirement` asks for;
`sender` sends messages over them until each recipient has a result. `failure` says why there is no connection.
"""
