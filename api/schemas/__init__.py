"""The documents in requests and responses."""
