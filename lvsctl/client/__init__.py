"""Transport to a director, shared by its clients. Nothing here knows the REST API."""
