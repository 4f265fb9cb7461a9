"""Engines: execution of dependent tasks on this machine or a cluster."""

from __future__ import annotations

from shared.engine.local import LocalEngine
from shared.engine.tasks import Engine
from shared.errors import UsageError


def make_engine(name: str = "local", *, jobs: int | None = None, address: str | None = None) -> Engine:
    """The engine called ``name``; ``address`` is that of a cluster.

    Raises:
        UsageError: an unknown name, an address for the local engine, or a missing package.
    """
    if name == "local":
        if address is not None:
            raise UsageError("the local engine has no address", hint="leave --address out")
        return LocalEngine(jobs)
    if name == "ray":
        from shared.engine.ray import RayEngine

        return RayEngine(address, jobs=jobs)
    raise UsageError(f"no engine is named {name!r}", hint="local or ray")
