"""Health checks: what is asked of the real servers, what they answered, and what follows."""
