"""State out of the store, as files that other programs read. Decides nothing; changes nothing."""
