"""The error tree: every error of ours says how to react to it.

TickhouseError
├── RetryLater    the network, a throttle, a busy disk: the same call may work soon
├── BadRecord     one message cannot be accepted: reject it with its reason, go on
└── FixSetup      a person must act: stop at once, say where, what and what to do
    └── Fenced    another process took over this writer's tables
"""


class TickhouseError(Exception):
    """Root of every error that Tickhouse raises on purpose."""


class RetryLater(TickhouseError):
    """The same call may succeed in a moment: network, throttling, start-up order."""


class BadRecord(TickhouseError):
    """One message cannot be accepted; its reason goes into ``silver.rejects``."""


class FixSetup(TickhouseError):
    """Nothing will work until a person changes something.

    Args:
        where: The setting, file, port or table that is wrong.
        what: What is wrong with it, with the value that was found.
        suggestion: The command to run or the value to set.
    """

    def __init__(self, where: str, what: str, suggestion: str) -> None:
        self.where, self.what, self.suggestion = where, what, suggestion
        super().__init__(f"{where}: {what}. {suggestion}")


class Fenced(FixSetup):
    """Another driver holds the lease of these tables; this one must stop."""
