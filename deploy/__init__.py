"""What belongs to the project and is not shipped in it."""
