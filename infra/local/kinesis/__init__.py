"""A local Kinesis Data Streams: one durable process, the stock AWS clients unmodified.

``python -m infra.local.kinesis --data <folder>`` listens on 127.0.0.1:4567. A request
travels: ``http_protocol`` (bytes) -> ``api`` (JSON, errors) -> ``stream_operations``
or ``put_operations`` -> ``group_commit`` (one transaction for all who wait) ->
``store`` (SQLite). Reads are index range scans; only sums and positions stay in memory.

Beside the fifteen operations there is what no real stream has (``control``):
``GET /health``, ``GET /metrics`` (counters of each shard, named as CloudWatch's) and
``/faults``, which takes the fault actions of AWS FIS and three more (see ``faults``).
``--duplicate-rate`` is such a fault from the start: a share of the entries is stored,
and answered as failed, so that a correct client sends them twice.

Retention counts the time in which the emulator runs (see ``running_time``).

Not there: enhanced fan-out, encryption, tags, CBOR, signatures (any credentials are
accepted), AWS's request rates of the operations that only describe, and the seconds for
which a stream is CREATING or UPDATING.
"""
