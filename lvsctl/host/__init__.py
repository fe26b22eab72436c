"""A host's network configuration behind one Protocol: linux, memory."""
