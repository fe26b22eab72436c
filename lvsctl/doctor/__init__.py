"""``lvsctl doctor``: finds what is wrong on a real server or a director, and changes nothing."""
