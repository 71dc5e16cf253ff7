"""The call loop: turns and playout (pure machines), clauses, and the session that drives them."""
