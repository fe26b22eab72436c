"""The command line: a client of the director's REST API, and the daemons' start."""
