"""A local Kinesis Data Streams: one durable process, the stock AWS clients unmodified.

``python -m infra.local.kinesis --data <folder>`` listens on 127.0.0.1:4567. A request
travels: ``http_protocol`` (bytes) -> ``api`` (JSON, errors) -> ``stream_operations``
or ``record_operations`` -> ``group_commit`` (one transaction for all who wait) ->
``store`` (SQLite). Reads are index range scans; only sums and positions stay in memory.

Beside the twelve operations there is ``GET /health``, and an option that no real
stream has: ``--duplicate-rate`` stores a share of the entries and answers that they
failed, so that a correct client sends them twice (see ``faults``).

Not there: resharding (shards already carry hash ranges, parents and an end), enhanced
fan-out, encryption, CBOR, signatures (any credentials are accepted), and AWS's request
rates of the operations that only describe.
"""
