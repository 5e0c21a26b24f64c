"""Keeps account of what was received: from the feed's events to the gap ledger."""

from collections.abc import Callable, Iterable

from conf.logs import get_logger
from conf.market.gaps import GapTransition
from producer.damage import Loss
from producer.gaps import Ledger, common, without
from producer.mark import Mark
from producer.reactions import Cause, RunCause
from producer.seen import Bars
from producer.subscription import Channels, describe

_log = get_logger(__name__)


class Reception:
    """What comes, what does not, and since when.

    Args:
        channels: What is asked for, with what comes along with it.
        announce: Takes the transitions for the stream.
        market_ns: Market time now; in a replay, that of the newest event.
        live: Whether market time goes on while nothing comes. If it does not, an
            outage ends with the first frame after it: before, no time has passed.
        ledger: Shared by the connections of one producer.
    """

    def __init__(
        self,
        channels: Channels,
        announce: Callable[[list[GapTransition]], None],
        market_ns: Callable[[], int],
        *,
        live: bool,
        ledger: Ledger | None = None,
    ) -> None:
        self._asked = channels
        self._announce, self._market_ns, self._live = announce, market_ns, live
        self._last_heard_ns = 0
        self._awaited: tuple[str, Channels] | None = None
        self._in_epoch = 0
        self._given: dict[str, list[str]] = {}
        self.ledger = ledger or Ledger()
        self.epoch = ""
        """The last connection that was confirmed, of this run or the one before."""
        self.confirmed_ns = 0
        """Market time of its confirmation."""
        self._began_ns = 0

    def resume(self, mark: Mark, cause: RunCause) -> None:
        """Go on where another producer ended: what it did not keep is a gap.

        When something is received already, the gap ended as that began.
        """
        if not mark.epoch:
            return
        self.epoch = self.epoch or mark.epoch
        self.ledger.restore(mark.open_gaps, mark.received_until_ns)
        lost = common(mark.channels, self._asked)
        until_ns = self._began_ns or None
        self._open(mark.epoch, cause, lost, mark.received_until_ns, until_ns)
        self.ledger.receive(self._given, self.confirmed_ns)

    def heard(self, epoch: str, market_ns: int) -> None:
        """Take note of a frame of data, by its market time."""
        self._last_heard_ns = market_ns
        if self._awaited is not None and self._awaited[0] == epoch:
            self._receive(*self._awaited)

    def confirmed(self, epoch: str, channels: Channels) -> None:
        """Take note of what comes from now on; what of it is missing is a gap."""
        if self._live:
            self._receive(epoch, channels)
        else:
            self._awaited = epoch, channels

    def lost(self, epoch: str, cause: Cause, last_frame_ns: int) -> None:
        """Take note that nothing came of a connection after its last frame.

        Frames that were read and still wait to be stored are not owed: should the
        process die before, its successor begins the gap at what was stored.
        """
        self._awaited = None
        heard_ns = last_frame_ns if self._live else self._last_heard_ns
        since_ns = max(heard_ns, self.confirmed_ns)
        self._open(epoch, cause, self._given, since_ns)
        self._given = {}

    def damaged(self, losses: Iterable[Loss]) -> None:
        """Take note of what was received and then destroyed on this disk."""
        for loss in losses:
            until_ns = loss.to_ns or max(self._market_ns(), loss.from_ns)
            cause: Cause = "spool_damaged"
            self._open(loss.outage, cause, self._asked, loss.from_ns, until_ns)

    def mark(self, received_until_ns: int, bars: Bars) -> Mark:
        """Return what the next producer must know."""
        # what was asked for before is owed until something is confirmed
        return Mark(
            self.epoch,
            received_until_ns,
            dict(self._given or self._asked),
            self.ledger.outages(),
            bars,
        )

    def _receive(self, epoch: str, channels: Channels) -> None:
        self._awaited = None
        if epoch != self.epoch:
            self.epoch, self._in_epoch = epoch, 0
            self.confirmed_ns = self._market_ns()
            self._began_ns = self._began_ns or self.confirmed_ns
        ended = self.ledger.receive(channels, self._market_ns())
        self._given = dict(channels)
        outage = f"{epoch}.{self._in_epoch + 1}"
        missing = without(self._asked, channels)
        if self._open(outage, "subscription", missing, self._market_ns()):
            self._in_epoch += 1
        _log.info(
            "receiving", epoch=epoch, channels=describe(channels), gaps_ended=len(ended)
        )

    def _open(
        self,
        outage: str,
        cause: Cause,
        channels: Channels,
        since_ns: int,
        until_ns: int | None = None,
    ) -> bool:
        now_ns = max(self._market_ns(), since_ns)
        opened = self.ledger.lose(
            outage, cause, channels, since_ns, now_ns, to_ns=until_ns
        )
        if opened:
            _log.warning("not receiving", epoch=outage, cause=cause, gaps=len(opened))
            self._announce(opened)
        return bool(opened)
