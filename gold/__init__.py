"""In: the silver tables. Out: statistics per symbol and window."""
