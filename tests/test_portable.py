"""Nothing in the packages needs a POSIX system to be imported, and what only some systems have is asked for first."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.pages import ROOT

PACKAGES = ("shared", "forge", "detect")
MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "syslog", "crypt")
OS_NAMES = (
    "fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "getpgid", "setsid", "killpg", "uname", "statvfs",
    "mkfifo", "chown", "fchmod", "fchown", "nice", "getloadavg", "sched_getaffinity", "pread", "pwrite",
    "posix_fadvise", "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_CLOEXEC", "WNOHANG", "wait3", "wait4", "sysconf",
    "register_at_fork",
)  # fmt: skip
SIGNALS = (
    "SIGKILL", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIGALRM", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGSTOP", "SIGCONT",
    "SIGTSTP", "SIGXCPU", "SIGXFSZ", "alarm", "setitimer", "pthread_sigmask", "pthread_kill",
)  # fmt: skip

ONLY_POSIX = {*(("os", name) for name in OS_NAMES), *(("signal", name) for name in SIGNALS)}

# Libraries are loaded first, on the system as it is: they choose by its name. Ours are then loaded once more without.
SCRIPT = """
import importlib, os, pkgutil, signal, sys
modules, os_names, signals, packages = {modules!r}, {os_names!r}, {signals!r}, {packages!r}

def ours():
    for package in packages:
        yield package
        path = importlib.import_module(package).__path__
        yield from (each.name for each in pkgutil.walk_packages(path, package + "."))

names = list(ours())
for name in names:
    importlib.import_module(name)
for name in names:
    sys.modules.pop(name, None)
for name in modules:
    sys.modules[name] = None
for home, wanted in ((os, os_names), (signal, signals)):
    for name in wanted:
        if hasattr(home, name):
            delattr(home, name)
for name in names:
    importlib.import_module(name)
print(len(names))
"""


@pytest.mark.slow
def test_every_module_is_imported_without_what_only_posix_has():
    script = SCRIPT.format(modules=MODULES, os_names=OS_NAMES, signals=SIGNALS, packages=PACKAGES)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 300


def uses(tree: ast.AST) -> set[tuple[str, str]]:
    """(module, name) of what only POSIX has: modules imported, attributes of ``os`` and ``signal``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names if alias.name in MODULES}
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            found.add((node.module, ""))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found |= {(node.value.id, node.attr)} & ONLY_POSIX
    return found


def test_what_only_posix_has_is_asked_for_before_it_is_used():
    """``hasattr(os, name)`` in the file of the use, or a look at ``sys.platform``."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            for module, name in uses(ast.parse(text)):
                asked = f'hasattr({module}, "{name}")' in text or "sys.platform" in text
                assert asked, f"{path}: {module}.{name}"


def test_the_check_sees_such_uses():
    text = "import fcntl\nfrom resource import getrusage\nos.geteuid()\nsignal.SIGKILL\nos.path"
    assert uses(ast.parse(text)) == {("fcntl", ""), ("resource", ""), ("os", "geteuid"), ("signal", "SIGKILL")}
