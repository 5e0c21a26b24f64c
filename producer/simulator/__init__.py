"""A server that speaks Alpaca's protocol over a seeded or a recorded market."""
