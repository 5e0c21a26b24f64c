"""The newest message of each symbol and kind."""

from producer.simulator.batch import Batch, Route
from producer.simulator.faults import FLAGS, NORMAL


class Latest:
    """Keeps it; repeated, delayed and malformed messages are not news."""

    def __init__(self) -> None:
        self.texts: dict[Route, bytes] = {}

    def keep(self, part: Batch) -> None:
        """Take over what was due now."""
        news = part.only([flag == FLAGS[NORMAL] for flag in part.flags])
        self.texts.update(zip(news.routes, news.texts, strict=True))
