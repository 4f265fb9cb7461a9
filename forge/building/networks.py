"""Whom the networks of re-enactment of a set were trained on, beside the splits of its people.

A network that knows people of the val or test split and makes fakes of another carries their faces there. People are
compared by name, as those of swappers are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forge.building.reenactments import ReenactmentConfig
from forge.building.spec import SetSpec
from forge.reenacting.networks.checkpoint import load_reenactor, reenactor_file
from forge.reenacting.networks.shipped import shipped_network
from shared.console import counted
from shared.errors import ConfigError, LeakError
from shared.types import Split

_SHOWN = 5


def network_file(spec: SetSpec, one: ReenactmentConfig) -> Path:
    """The file of the network of ``one``: of its run, else that of the package.

    Raises:
        CheckpointError: there is none.
        ConfigError: no run is named, and the package has none of the family.
    """
    if one.run:
        return reenactor_file((spec.folder / one.run).resolve())
    file = shipped_network(one.family)
    if file is None:
        raise ConfigError(f"{one.name}: {one.family} needs a network", hint="run = 'runs/driven'")
    return file


def network_people(spec: SetSpec, one: ReenactmentConfig) -> tuple[str, ...]:
    """The people that the network of ``one`` was trained on; none of a family without.

    Raises:
        CheckpointError: it cannot be read.
    """
    return load_reenactor(network_file(spec, one)).card.identities if one.has_network else ()


def check_networks(spec: SetSpec, splits: Mapping[str, Split], driven: Mapping[str, set[Split]]) -> tuple[str, ...]:
    """Refuses networks that know people of the val or test split, and are used in another.

    Args:
        spec: the settings.
        splits: of its people.
        driven: the splits with fakes of each ``[[reenactment]]``.

    Returns:
        A sentence for each network that was also trained on people whom the set does not name.

    Raises:
        LeakError: with the first of them.
        CheckpointError: a network cannot be read.
    """
    used: dict[Path, set[Split]] = {}
    trained = [one for one in spec.reenactment if one.has_network]
    for one in trained:
        used.setdefault(network_file(spec, one), set()).update(driven.get(one.name, ()))
    names, found = {one.name for one in spec.identity}, []
    for one in trained:
        people = network_people(spec, one)
        for split in ("val", "test"):
            held_out = [name for name in people if name in names and splits.get(name) == split]
            others = used[network_file(spec, one)] - {split}
            if held_out and others:
                raise LeakError(
                    f"{one.name}: its network was trained on {', '.join(held_out[:_SHOWN])} of the {split} split, and "
                    f"makes fakes of the {' and '.join(sorted(others))} split",
                    hint="train it on people of the train split or on others, or name its people in [splits] as train",
                )
        unknown = [name for name in people if name not in names]
        if unknown:
            shown = ", ".join(unknown[:_SHOWN]) + (", ..." if len(unknown) > _SHOWN else "")
            found.append(
                f"{one.name}: its network was trained on {counted(len(unknown), 'person', 'people')} of other names "
                f"than those of the set ({shown}); whether any is in its val or test split is not known"
            )
    return tuple(found)
