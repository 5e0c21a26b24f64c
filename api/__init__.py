"""In: the lake and the Kinesis stream. Out: REST, SSE and the built dashboard."""
