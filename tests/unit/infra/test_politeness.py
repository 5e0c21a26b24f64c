"""A polite process is polite in its session, and its session is."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os
from pathlib import Path
from infra.politeness import be_polite
be_polite(5)
group = Path("/proc/self/autogroup")
print(os.nice(0), group.read_text().split()[-1] if group.exists() else "-")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="sessions are grouped on Linux")
def test_niceness_is_that_of_the_process_and_of_its_group():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        start_new_session=True,
        capture_output=True,
        text=True,
        check=True,
    )
    own, group = done.stdout.split()
    assert own == "5"
    assert group == ("5" if Path("/proc/self/autogroup").exists() else "-")
