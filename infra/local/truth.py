"""What was sent, as the rows that the lake must hold: the simulator's truth, parsed.

The truth folder holds ``messages-<NNNNN>.tsv`` (scheduled send time, flag, message)
and ``summary.json``. This module knows Alpaca's keys on its own, on purpose: it shares
no line with the pipeline that it judges, not even the engine.

A DuckDB connection carries the tables from step to step:

    sent               one message as sent, in feed order
    expected_trades    one row per trade that silver.trades must hold, and so on
    expected_quotes    identical quotes are numbered in feed order
    expected_bars      revision 0 as first sent, its trades as restated
    expected_corrections  each message in each state that it had
    expected_statuses
    expected_rejects   one text per message that no table can hold
"""

# ruff: noqa: S608 - every name in this SQL is one of our own

from collections.abc import Iterable
from pathlib import Path

import duckdb
import msgspec

from conf.errors import FixSetup
from infra.local import matching
from infra.local.kinds import KINDS, Kind

NORMAL, REPEATED, LATE, MALFORMED = "n", "r", "l", "m"

# How a text is recognised in silver.rejects, which keeps its first 64 KiB and, where
# JSON itself is broken, the whole frame: without the array around it, and cut.
REJECT_KEY = r"left(regexp_replace(trim({0}), '^\[(.*?)\]?$', '\1', 's'), 60000)"


class Summary(msgspec.Struct, frozen=True):
    """``summary.json``: counts of messages, written when the market has ended."""

    emitted: int
    repeated: int
    out_of_order: int
    late: int
    malformed: int
    first_due_ns: int | None
    last_due_ns: int | None
    max_behind_ms: float


def read_summary(truth_dir: Path) -> Summary:
    """Return the simulator's own counts.

    Raises:
        FixSetup: The market has not ended, so there is no summary yet.
    """
    path = truth_dir / "summary.json"
    if not path.exists():
        raise FixSetup(str(path), "is missing", "Wait until the simulated market ends")
    return msgspec.json.decode(path.read_bytes(), type=Summary)


def load_sent(db: duckdb.DuckDBPyConnection, truth_dir: Path, *patterns: str) -> None:
    """Make ``sent`` from the truth folder: everything that the market sent.

    Args:
        db: Gets the table.
        truth_dir: The simulator's.
        *patterns: Of the names of the files; by default what was handed to a client.
    """
    patterns = patterns or ("messages-*.tsv",)
    files = sorted(str(path) for x in patterns for path in truth_dir.glob(x))
    db.execute(
        r"""
        CREATE OR REPLACE TABLE sent AS
        WITH lines AS (
            SELECT line, instr(line, chr(9)) AS tab
            FROM read_csv(
                $files, columns = {'line': 'VARCHAR'}, header = false,
                auto_detect = false, delim = chr(1), quote = '', escape = '',
                new_line = '\n', max_line_size = 20000000, strict_mode = false
            )
        )
        SELECT
            row_number() OVER () AS place,
            left(line, tab - 1)::BIGINT AS due_ns,
            substr(line, tab + 1, 1) AS flag,
            substr(line, tab + 3) AS text,
            NULL::INTEGER AS occurrence
        FROM lines
        """,
        {"files": files},
    )


def expect(db: duckdb.DuckDBPyConnection) -> None:
    """Make the ``expected_*`` tables from ``sent``."""
    # Broken JSON has no type; CASE keeps DuckDB from parsing it.
    db.execute(
        f"""
        ALTER TABLE sent ADD COLUMN IF NOT EXISTS type VARCHAR;
        UPDATE sent SET type = CASE WHEN flag <> '{MALFORMED}'
            THEN json_extract_string(text, '$.T') END
        """
    )
    for name, kind in KINDS.items():
        db.execute(f"CREATE OR REPLACE TABLE expected_{name} AS {_expected(kind)}")
    matching.expect_states(db)
    held = [type_ for kind in KINDS.values() for type_ in kind.types]
    db.execute(
        f"""
        CREATE OR REPLACE TABLE expected_rejects AS
        SELECT '' AS symbol, {REJECT_KEY.format("text")} AS text FROM sent
        WHERE type IS NULL OR type NOT IN ({_quoted(held)})
        """
    )


def columns(name: str) -> list[str]:
    """Return the columns in which a stored row must equal the one expected."""
    kind = KINDS[name]
    own = [c for c in (*kind.fields, *kind.derived) if c not in _SCAFFOLD]
    if name == "corrections":
        own += matching.STATE_COLUMNS
    return [*own, "occurrence"] if kind.identity is None else own


_SCAFFOLD = ("type", "code", "window_start_ns")


def _expected(kind: Kind) -> str:
    """Return SQL for one row per event, first sending first.

    Quotes have no id: each message is an event, and ``occurrence`` counts those that
    agree in all fields. Where the feed's own numbers are known, as in Kinesis, they
    name the event, and a resent one counts once.
    """
    derived = ", ".join(f"{sql} AS {name}" for name, sql in kind.derived.items())
    fields = ", ".join(kind.fields)
    event = ", ".join(kind.identity or (*kind.fields, "occurrence"))
    return f"""
        WITH parsed AS ({_parsed(kind)}),
        numbered AS (
            SELECT * REPLACE (coalesce(
                occurrence, row_number() OVER (PARTITION BY {fields} ORDER BY place) - 1
            )::INTEGER AS occurrence)
            FROM parsed
        )
        SELECT *, {derived}
        FROM {"parsed" if kind.identity else "numbered"}
        QUALIFY row_number() OVER (PARTITION BY {event} ORDER BY place) = 1
    """


def _parsed(kind: Kind) -> str:
    keys = [key for names, _ in kind.fields.values() for key in names.split("|")]
    paths = [f"$.{key}" for key in keys]
    place = {key: f"f[{number}]" for number, key in enumerate(keys, start=1)}
    values = ", ".join(
        f"{_typed(_first(place[key] for key in names.split('|')), sql_type)} AS {name}"
        for name, (names, sql_type) in kind.fields.items()
    )
    # A repeated quote would be another event to all who see it: it must not be sent.
    events = "true" if kind.identity else f"flag <> '{REPEATED}'"
    return f"""
        SELECT place, text, due_ns, flag = '{LATE}' AS is_late, occurrence, {values}
        FROM (
            SELECT *, json_extract_string(text, [{_quoted(paths)}]) AS f FROM sent
            WHERE type IN ({_quoted(kind.types)}) AND {events}
        )
    """


def _first(texts: Iterable[str]) -> str:
    return f"coalesce({', '.join(texts)})"


def _typed(text: str, sql_type: str) -> str:
    match sql_type:
        case "TIMESTAMP_NS":
            return f"epoch_ns({text}::TIMESTAMP_NS)"
        case "JSON":
            return f"""from_json({text}, '["VARCHAR"]')"""
        case _:
            return f"{text}::{sql_type}"


def _quoted(values: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
