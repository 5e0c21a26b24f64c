"""In: a Kinesis stream. Out: ``bronze.records``, one row per Kinesis record."""
