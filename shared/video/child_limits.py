"""Permanent limits that a process sets on itself before it reads an untrusted file.

Landlock and namespaces: the Linux manual pages landlock(7), unshare(2). The process must have a single thread.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_MARGIN_SECONDS = 5
_NO_NEW_PRIVILEGES = 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ONE_FILE, _BENEATH = 1 << 2, 1 << 0 | 1 << 2 | 1 << 3
"""Landlock's rights to read a file; and to execute, read and list all files below a folder."""
_RIGHTS = ((3, 15), (2, 14), (1, 13))
"""Number of rights on files by version of Landlock: making, writing, removing and, later, moving and truncating."""
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/nix", "/opt")
_OWN = tuple(str(Path(__file__).resolve().parents[2] / name) for name in ("shared", "detect"))
"""Folders of the modules that the process runs; an editable install may leave them out of the path."""


@dataclass(frozen=True)
class Bounds:
    """Resources that the process may use.

    Attributes:
        memory_bytes: of address space.
        cpu_seconds: of processor time, all threads together.
        readable: the only files that it may read besides programs and their libraries.
    """

    memory_bytes: int
    cpu_seconds: int
    readable: tuple[str, ...]


def limit(bounds: Bounds) -> tuple[str, ...]:
    """Limits this process for the rest of its life; the names of limits that the system lacks.

    Memory and processor time as given; no file is written and no other file read; no network; no core dump; and the
    system kills this process first when memory runs short.
    """
    missing = []
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    linux = sys.platform.startswith("linux")
    if not (linux and _leave_network()):
        missing.append("network")
    if not (linux and _leave_files(bounds.readable)):
        missing.append("other files")
    try:
        import resource
    except ImportError:  # Windows
        return (*missing, "memory", "processor time", "file size")
    for name, what, most in (
        ("RLIMIT_AS", "memory", bounds.memory_bytes),
        ("RLIMIT_CPU", "processor time", bounds.cpu_seconds),
        ("RLIMIT_FSIZE", "file size", 0),
        ("RLIMIT_CORE", "core dump", 0),
    ):
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        above = most + _MARGIN_SECONDS if name == "RLIMIT_CPU" else most
        if hard != resource.RLIM_INFINITY:
            most, above = min(most, hard), min(above, hard)
        try:
            resource.setrlimit(number, (most, above))
        except (ValueError, OSError):  # macOS knows some only by name
            missing.append(what)
    return tuple(missing)


def _leave_network() -> bool:
    """Moves this process into a network namespace without interfaces; whether the system allowed it."""
    libc = ctypes.CDLL(None, use_errno=True)
    return any(libc.unshare(flags) == 0 for flags in (_NEW_NETWORK, _NEW_USER | _NEW_NETWORK))


def _leave_files(readable: tuple[str, ...]) -> bool:
    """Restricts file access to reading ``readable`` and programs with their libraries; whether that is supported."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    rights = (1 << next(count for least, count in _RIGHTS if version >= least)) - 1
    rules = libc.syscall(_CREATE_RULESET, struct.pack("<Q", rights), 8, 0)
    if rules < 0:
        return False
    folders = {*_SYSTEM, *_OWN, *sys.path, sys.prefix, sys.base_prefix, sys.exec_prefix}
    for place, right in (*((one, _BENEATH) for one in sorted(folders)), *((one, _ONE_FILE) for one in readable)):
        with suppress(OSError):
            opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
            given = right if Path(place).is_dir() else _ONE_FILE
            libc.syscall(_ADD_RULE, rules, 1, struct.pack("<Qi", given, opened), 0)
            os.close(opened)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    done = libc.syscall(_RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    return done
