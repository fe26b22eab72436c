"""Who may use the director, and by which way they reach it."""
