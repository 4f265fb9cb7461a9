"""Parts of a swapper by name: frozen, or taken from a swapper that was trained before.

A name is a kind (``decoder``: all of them) or one part (``decoder.ann``); several are joined by commas.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from forge.models import Swapper
from forge.models.checkpoint import digest_of, load_swapper, read_card
from shared.errors import CheckpointError, UsageError
from shared.registry import near_matches


@dataclass(frozen=True)
class Loaded:
    """What a training began with: the digest of the swapper it came from, and the parts taken from it."""

    digest: str
    parts: tuple[str, ...]


def named_parts(swapper: Swapper, names: str) -> dict[str, nn.Module]:
    """The parts of ``swapper`` that ``names`` means, by their full names; none for an empty text.

    Raises:
        UsageError: a name is that of no part; the nearest are named.
    """
    parts = swapper.parts()
    found: dict[str, nn.Module] = {}
    for name in (each.strip() for each in names.split(",")):
        if not name:
            continue
        meant = {full: part for full, part in parts.items() if full == name or full.startswith(f"{name}.")}
        if not meant:
            known = sorted({*parts, *(full.partition(".")[0] for full in parts)})
            raise UsageError(f"{swapper.spec.name} has no part {name!r}", hint=near_matches(name, known))
        found |= meant
    return found


def freeze_parts(swapper: Swapper, names: str) -> None:
    """Makes the parts that ``names`` means stay as they are, and all others learn.

    Raises:
        UsageError: a name is that of no part, or nothing is left to learn.
    """
    frozen = {id(each) for part in named_parts(swapper, names).values() for each in part.parameters()}
    learning = [each for each in swapper.parameters() if id(each) not in frozen]
    if not learning:
        raise UsageError(f"freezing {names} leaves nothing to learn", hint="leave one part free")
    for each in swapper.parameters():
        each.requires_grad_(id(each) not in frozen)


def load_parts(swapper: Swapper, path: Path, names: str = "") -> Loaded:
    """Gives ``swapper`` the weights of the swapper in ``path`` (an exported folder, or a run that holds one).

    ``names`` says which parts. Without, all that both have: what everybody shares, and what is an identity's own where
    both know the identity.

    Raises:
        CheckpointError: there is no swapper, it has none of the parts, or a part is of another shape: what differs is
            named, and nothing is changed.
        UsageError: a name is that of no part.
    """
    card = read_card(path)
    source = load_swapper(path)
    wanted = named_parts(swapper, names) if names else dict(swapper.parts())
    theirs = source.parts()
    unknown = [name for name in wanted if name not in theirs]
    if names and any(f"{name}" in [each.strip() for each in names.split(",")] for name in unknown):
        raise CheckpointError(f"{path} has no part {unknown[0]}", hint=near_matches(unknown[0], sorted(theirs)))
    both = [name for name in wanted if name in theirs]
    differing = [name for name in both if _shapes(wanted[name]) != _shapes(theirs[name])]
    if differing or not both:
        raise CheckpointError(
            f"{path} does not fit {swapper.spec.name}: {_difference(swapper, source, differing)}",
            hint="train with that model, width and options, or name parts that fit with --load-parts",
        )
    for name in both:
        wanted[name].load_state_dict(theirs[name].state_dict())
    return Loaded(digest_of(card), tuple(both))


def _shapes(part: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in part.state_dict().items()}


def _difference(wanted: Swapper, found: Swapper, parts: list[str]) -> str:
    """In words: the settings that differ, and the parts that do."""
    mine, other = wanted.spec, found.spec
    told = [
        f"{name} is {getattr(other, name)} there and {getattr(mine, name)} here"
        for name in ("name", "width", "input_px", "output_px", "framing", "has_mask")
        if getattr(other, name) != getattr(mine, name)
    ]
    theirs = dict(other.options)
    told += [
        f"{name} is {theirs.get(name)} there and {value} here"
        for name, value in mine.options
        if theirs.get(name) != value
    ]
    told.append(f"{', '.join(parts)} {'are' if len(parts) > 1 else 'is'} of another shape" if parts else "no part fits")
    return "; ".join(told)
