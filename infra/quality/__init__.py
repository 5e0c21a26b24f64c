"""Validation beside the stream: Great Expectations on what the tables gained."""
