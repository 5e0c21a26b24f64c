"""Sale conditions of Arrow rows, judged once for each combination that occurs."""

import pyarrow as pa
import pyarrow.compute as pc

from conf.market.bars import Records, effects


def effects_of(trades: pa.Table) -> Records:
    """Return what each trade does to its bar; see ``conf.market.bars.effects``.

    Args:
        trades: With the columns ``conditions`` and ``tape``.
    """
    codes = pc.fill_null(pc.binary_join(trades["conditions"], "\n"), "")
    tapes = pc.fill_null(trades["tape"], "")
    distinct = (
        pc.binary_join_element_wise(codes, tapes, "\t")
        .combine_chunks()
        .dictionary_encode()
    )
    split = [text.rsplit("\t", 1) for text in distinct.dictionary.to_pylist()]
    judged: Records = effects(
        (text.split("\n") if text else None for text, _ in split),
        (tape or None for _, tape in split),
    )
    each: Records = judged[distinct.indices.to_numpy()]
    return each
