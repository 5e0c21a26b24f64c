"""Logs are told to standard error, wherever that leads."""

import sys

import pytest

from conf import logs


def test_a_full_disk_costs_the_line_and_not_the_process(
    monkeypatch: pytest.MonkeyPatch,
):
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        with pytest.raises(OSError, match="No space"):
            sys.stderr.write("a line that ends the process\n")
        logs.LossyStderr().write("a line that is lost\n")
        logs.LossyStderr().flush()
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space"):
            full.close()
