"""Start a command that cannot outlive its supervisor: ``leash.py PARENT COMMAND…``.

Linux kills the process (PR_SET_PDEATHSIG) when the thread that started it ends, even
by kill -9. The request must come from the child itself; made here, between fork and
exec, it needs no ``preexec_fn``, which is unsafe beside threads. The command keeps this
process id. Elsewhere there is no such request: ``stop`` and the next start clean up.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent_pid: int, command: list[str]) -> None:
    """Tie this process to ``parent_pid`` and become ``command``."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the request.
    if os.getppid() != parent_pid:
        sys.exit(f"supervisor {parent_pid} is gone")
    os.execvp(command[0], command)  # noqa: S606 (no shell wanted)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
