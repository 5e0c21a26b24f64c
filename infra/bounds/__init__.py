"""The bounds of each issue, as data: what to run, what to read, what must hold."""
