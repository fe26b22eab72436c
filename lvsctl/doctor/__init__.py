"""``lvsctl doctor``: looks at a real server or a director, says what is wrong, changes nothing."""
