"""Faults of the way from the feed into Kinesis, each run judged by sets: no Spark."""
