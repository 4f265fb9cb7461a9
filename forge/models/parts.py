"""Freezing and loading parts of a swapper by name.

A name is a kind (``decoder``: all of them), one part (``decoder.ann``), or ``shared`` and a kind (``shared inter``: the
one that all identities use beside inters of their own, LIAE's AB); several are joined by commas.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from forge.models import Swapper
from forge.models.checkpoint import SwapperCard, digest_of, load_swapper, read_card
from forge.models.population import population_part, shapes
from shared.errors import CheckpointError, UsageError
from shared.registry import near_matches
from shared.storage import sha256_file
from shared.training.checkpoint import read_checkpoint

_SHARED = "shared "
_MODEL = "model."


@dataclass(frozen=True)
class Loaded:
    """The parts that a training was initialised with, and the digest of the swapper they came from."""

    digest: str
    parts: tuple[str, ...]


def named_parts(swapper: Swapper, names: str) -> dict[str, nn.Module]:
    """The parts of ``swapper`` that match ``names``, by full name; none for an empty text or if nothing is shared so.

    Raises:
        UsageError: a name matches no part; the message gives the nearest.
    """
    parts = swapper.parts()
    found: dict[str, nn.Module] = {}
    for name in (each.strip() for each in names.split(",")):
        if not name:
            continue
        kind = name.removeprefix(_SHARED)
        meant = {full: part for full, part in parts.items() if full == kind or full.startswith(f"{kind}.")}
        if not meant:
            known = sorted({*parts, *(full.partition(".")[0] for full in parts)})
            raise UsageError(f"{swapper.spec.name} has no part {kind!r}", hint=near_matches(kind, known))
        if kind != name:  # a part without identities' own beside it is no shared one: df's inter
            meant = {full: part for full, part in meant.items() if full == kind and len(meant) > 1}
        found |= meant
    return found


def freeze_parts(swapper: Swapper, names: str) -> None:
    """Freezes the parts that match ``names`` and makes all others trainable.

    Raises:
        UsageError: a name matches no part, or all parts would be frozen.
    """
    frozen = {id(each) for part in named_parts(swapper, names).values() for each in part.parameters()}
    learning = [each for each in swapper.parameters() if id(each) not in frozen]
    if not learning:
        raise UsageError(f"freezing {names} leaves nothing to learn", hint="leave one part free")
    for each in swapper.parameters():
        each.requires_grad_(id(each) not in frozen)


def load_parts(swapper: Swapper, path: Path, names: str = "") -> Loaded:
    """Loads weights into ``swapper`` from the swapper in ``path``: an exported folder, a run, or a run's checkpoint.

    ``names`` selects the parts; empty means all that both have: the shared ones, and those of identities that both
    know; of a swapper of a population also those of all other identities, as copies of the population's.

    Raises:
        CheckpointError: there is no swapper, it has none of the parts, or shapes differ: the message names the
            differences, and nothing is changed.
        UsageError: a name matches no part.
    """
    source, card, digest = _source(path)
    wanted = named_parts(swapper, names) if names else dict(swapper.parts())
    theirs = dict(source.parts())
    if card.population:
        first = source.spec.identities[0]
        theirs |= {
            name: common
            for name in wanted
            if name not in theirs and (common := population_part(name, theirs, first)) is not None
        }
    unknown = [name for name in wanted if name not in theirs]
    if names and any(f"{name}" in [each.strip() for each in names.split(",")] for name in unknown):
        raise CheckpointError(f"{path} has no part {unknown[0]}", hint=near_matches(unknown[0], sorted(theirs)))
    both = [name for name in wanted if name in theirs]
    differing = [name for name in both if shapes(wanted[name]) != shapes(theirs[name])]
    if differing or not both:
        raise CheckpointError(
            f"{path} does not fit {swapper.spec.name}: {_difference(swapper, source, differing)}",
            hint="train with that model, width and options, or name parts that fit with --load-parts",
        )
    for name in both:
        wanted[name].load_state_dict(theirs[name].state_dict())
    return Loaded(digest, tuple(both))


def _source(path: Path) -> tuple[Swapper, SwapperCard, str]:
    """The swapper in ``path`` with its card and digest; of a checkpoint the trained weights, not their average.

    Raises:
        CheckpointError: there is none.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        card = read_card(path)
        return load_swapper(path), card, digest_of(card)
    run = path.parent.parent
    card, source = read_card(run), load_swapper(run)
    tensors, _ = read_checkpoint(path)
    state = {name.removeprefix(_MODEL): value for name, value in tensors.items() if name.startswith(_MODEL)}
    try:
        source.load_state_dict(state, strict=not card.population)
    except RuntimeError as error:
        raise CheckpointError(f"{path} is no checkpoint of {run}: {error}", hint="name one in its own run") from error
    return source, card, sha256_file(path)


def _difference(wanted: Swapper, found: Swapper, parts: list[str]) -> str:
    """The settings and the parts that differ, as text."""
    mine, other = wanted.spec, found.spec
    different = [
        f"{name} is {getattr(other, name)} there and {getattr(mine, name)} here"
        for name in ("name", "width", "input_px", "output_px", "framing", "has_mask")
        if getattr(other, name) != getattr(mine, name)
    ]
    theirs = dict(other.options)
    different += [
        f"{name} is {theirs.get(name)} there and {value} here"
        for name, value in mine.options
        if theirs.get(name) != value
    ]
    different.append(
        f"{', '.join(parts)} {'are' if len(parts) > 1 else 'is'} of another shape" if parts else "no part fits"
    )
    return "; ".join(different)
