"""Runs many tasks that wait for one another: the one seam between what is to be done and the machines that do it."""

from __future__ import annotations

from shared.engine.local import LocalEngine
from shared.engine.tasks import Engine
from shared.errors import UsageError


def make_engine(name: str = "local", *, jobs: int | None = None, address: str | None = None) -> Engine:
    """The engine called ``name``; ``address`` is where an engine of many machines is reached.

    Raises:
        UsageError: there is none of that name, it takes no address, or what it needs is not installed.
    """
    if name == "local":
        if address is not None:
            raise UsageError("the local engine has no address", hint="leave --address out")
        return LocalEngine(jobs)
    if name == "ray":
        from shared.engine.ray import RayEngine

        return RayEngine(address, jobs=jobs)
    raise UsageError(f"no engine is named {name!r}", hint="local or ray")
