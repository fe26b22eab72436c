"""How programs of lvsctl reach a director. Nothing here knows what they ask it for."""
