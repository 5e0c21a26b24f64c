"""`make bench`: our way beside what a user would pick instead, on one recording."""
