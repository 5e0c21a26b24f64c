"""What a doctor found: of this machine, of a feed, of a stream."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "missing"]
_MARKS: dict[State, str] = {"ok": "✓", "note": "!", "missing": "✗"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        state: ``missing`` stops a run; ``note`` may surprise.
        found: What is there.
        fix: What to do about it; empty when ok.
    """

    name: str
    state: State
    found: str
    fix: str = ""

    def __str__(self) -> str:
        """Return it as one line for a person."""
        return f"{_MARKS[self.state]} {self.name:<15} {self.found}  {self.fix}".rstrip()
