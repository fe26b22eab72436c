"""The agents of the real servers: their edits, contacts, requirements and assignments."""
