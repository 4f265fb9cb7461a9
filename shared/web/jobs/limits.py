"""Limits that a job's process sets on itself before it starts to work."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_DIE_WITH_PARENT = 1
BOOT = (
    "import sys; from shared.web.jobs.limits import limit_job; "
    "limit_job(int(sys.argv.pop(1)), int(sys.argv.pop(1))); from shared.cli import main; main()"
)
"""Program of a job: ``python -c BOOT PARENT MEMORY_BYTES WORDS...``."""


def limit_job(parent: int, memory_bytes: int) -> None:
    """Limits this process and its children: memory for data, no core dump; the first to end when memory runs short.

    It is told to stop when ``parent``, the server, ends in any way. Address space is not limited, because CUDA
    reserves more than there is memory. What the system lacks is left out: the server also watches from outside.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            raise SystemExit(1)
    with suppress(ImportError):
        import resource

        for name, most in (("RLIMIT_DATA", memory_bytes), ("RLIMIT_CORE", 0)):
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            with suppress(OSError, ValueError):
                resource.setrlimit(number, (most, most))
