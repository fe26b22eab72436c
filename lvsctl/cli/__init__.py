"""The command line: a client of the director's REST API, and the entry points of the daemons."""
