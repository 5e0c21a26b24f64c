"""In: Alpaca's WebSocket. Out: wire records on a Kinesis stream."""
