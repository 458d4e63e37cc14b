"""The ends of a connection, for sessions that have no socket."""

from relate_telemetry.ports import Endpoint

CLIENT = Endpoint("192.0.2.1", 49152)
SERVER = Endpoint("198.51.100.1", 2525)
ENDPOINTS = (CLIENT, SERVER, CLIENT)
