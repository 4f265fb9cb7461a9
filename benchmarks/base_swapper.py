"""Makes the base swapper that comes with the package, from material that may be given away.

Steps: procedural actors are filmed, four facesets are extracted, a swapper is trained on all of them as one population
(recipe ``population``), and its weights are written in half precision beside a model card. What is there already is
kept, and an interrupted training goes on, so the same command continues after a stop.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from forge.models.checkpoint import SwapperCard, load_swapper, read_card, save_swapper
from forge.models.contract import Option
from forge.training.config import TrainConfig
from forge.training.recipe import load_recipe
from forge.training.restoring import RestorerConfig, train_restorer
from forge.training.restoring_faces import FACE_PX
from forge.training.train import train_swapper
from shared.actors import cast, film
from shared.config import from_mapping
from shared.console import console
from shared.errors import UsageError
from shared.faces.facesets.extract import ExtractConfig, extract
from shared.storage import write_text

ACTORS_SEED = 9_000
"""Of the actors' looks; the demo and the tests use other seeds."""

_ACTORS, _ACTOR_SECONDS, _ACTOR_PX = 32, 2.0, 384
MODEL_CARD = "README.md"


@dataclass(frozen=True)
class Crowd:
    """One faceset of the base swapper's training.

    Attributes:
        patterns: of its files, below the folder of material; none for the actors.
        source: where the material is from, for the model card.
        every: every n-th frame of a clip is used.
    """

    name: str
    rights: str
    patterns: tuple[str, ...]
    source: str
    every: int = 1


CROWDS = (
    Crowd("congress", "public domain", ("real_faces/uscongress118_*",), "portraits of the 118th US Congress"),
    Crowd(
        "studio",
        "CC-BY-4.0",
        ("real_faces/london_*", "real_faces/canada_*"),
        "Face Research Lab London Set (DeBruine and Jones 2017, signed consent), and a set of Canadian portraits",
    ),
    Crowd(
        "grid",
        "CC-BY-4.0",
        ("video_grid/*.mpg",),
        "ten speakers of the GRID audiovisual corpus (Cooke et al. 2006)",
        every=5,
    ),
)
ACTORS = Crowd("actors", "own", (), "procedural actors, drawn by shared.actors", every=10)


def make_base(material: Path | None, work: Path, config: TrainConfig, *, actors: int = _ACTORS) -> Path:
    """Trains the base swapper in ``work``; returns its run.

    ``material`` holds the photographs and clips; None trains on the actors alone, in two facesets.

    Raises:
        UsageError: a crowd's files are missing.
        AssayError: a step failed.
    """
    facesets = (
        [crowd_faceset(crowd, crowd_files(crowd, material), work) for crowd in CROWDS] if material is not None else []
    )
    clips = film_actors(work / "actors", actors)
    halves = [clips] if material is not None else [clips[::2], clips[1::2]]
    for number, part in enumerate(halves):
        name = ACTORS.name if number == 0 else f"{ACTORS.name}-{number + 1}"
        facesets.append(crowd_faceset(replace(ACTORS, name=name), part, work))
    run = work / "run"
    train_swapper(facesets, run, config)
    return run


def base_config(*, minutes: float | None = None, steps: int | None = None, device: str = "auto") -> TrainConfig:
    """The settings of the recipe ``population``, for ``minutes`` or ``steps``."""
    settings = {**load_recipe("population"), "device": device}
    if minutes is not None:
        settings |= {"minutes": minutes, "steps": 10_000_000}
    if steps is not None:
        settings["steps"] = steps
    return from_mapping(TrainConfig, settings, where="population")


def make_restorer(material: Path, work: Path, config: RestorerConfig) -> Path:
    """Trains the restorer on the photographs of ``material``; returns the file of its weights.

    Raises:
        UsageError: a crowd's files are missing.
        AssayError: a step failed.
    """
    photographs = [replace(crowd, name=f"{crowd.name}-large") for crowd in CROWDS if crowd.every == 1]
    facesets = [crowd_faceset(crowd, crowd_files(crowd, material), work, px=2 * FACE_PX) for crowd in photographs]
    return train_restorer(facesets, work / "restorer", config)


def ship(run: Path, out: Path, *, training: Mapping[str, Option] | None = None, note: str = "") -> SwapperCard:
    """Writes the swapper of ``run`` to ``out`` in half precision, with its model card; returns the swapper's card.

    ``training`` replaces the facts of the run and ``note`` is added to the card, for weights trained in several runs.

    Raises:
        CheckpointError: the run has no swapper.
        StorageError: writing failed.
    """
    card = read_card(run)
    facts = card.training if training is None else training
    save_swapper(load_swapper(run), out, facesets=card.facesets, training=facts, population=card.population, half=True)
    shipped = read_card(out)
    write_text(out / MODEL_CARD, model_card(shipped, note))
    console.print(f"base swapper: {out}")
    return shipped


def model_card(card: SwapperCard, note: str = "") -> str:
    """The model card of the base swapper, as Markdown."""
    sources = {crowd.name: crowd.source for crowd in (*CROWDS, ACTORS)}
    rows = [
        f"| {each.identity} | {sources.get(each.identity, 'procedural actors')} | {each.rights} | {each.faces} | "
        f"`{each.digest[:16]}` |"
        for each in card.facesets
    ]
    made = f"Made by `python -m benchmarks base`: the recipe `population`, seed 0, actors of seed {ACTORS_SEED}."
    made = f"Facesets as `python -m benchmarks base` makes them, actors of seed {ACTORS_SEED}." if note else made
    facts = [f"| {name} | {value} |" for name, value in card.training.items()]
    return "\n".join(
        [
            "# Base swapper",
            "",
            f"One encoder and one decoder of the family `{card.model}` at {card.output_px} px, "
            f"{card.parameters / 1e6:.1f} million parameters in half precision, trained on all people below as one "
            "population. `assay forge train` starts from it where the family fits; each new person's decoder begins "
            "as a copy of the one here. By itself it swaps nobody: it reconstructs the face that it is shown.",
            "",
            "Meant for making labelled fakes for the training and testing of detectors. Every output of a swapper "
            "trained from it is labelled and signed as any other. It saw few people with dark skin, few profiles and "
            "few large expressions, and is weaker there.",
            "",
            "| faceset | material | rights | faces | SHA-256 |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "| training | |",
            "|---|---|",
            *facts,
            "",
            f"SHA-256 of `model.safetensors`: `{card.sha256}`. {made} How well trainings do that start from it: "
            "docs/swappers.md.",
            "",
            *([note, ""] if note else []),
        ]
    )


def crowd_files(crowd: Crowd, material: Path) -> list[Path]:
    """The files of ``crowd`` in the folder ``material``, by name.

    Raises:
        UsageError: there is none.
    """
    files = list(itertools.chain.from_iterable(sorted(material.glob(pattern)) for pattern in crowd.patterns))
    if not files:
        raise UsageError(
            f"{material} holds none of {', '.join(crowd.patterns)}",
            hint="give the folder of the material, or leave it out to train on actors alone",
        )
    return files


def film_actors(folder: Path, count: int, *, seconds: float = _ACTOR_SECONDS, px: int = _ACTOR_PX) -> list[Path]:
    """Clips of the first ``count`` actors in ``folder``; what is there is kept."""
    clips: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    for seed, actor in enumerate(cast(count, ACTORS_SEED)):
        clips.append(folder / f"{actor.name}.mp4")
        if not clips[-1].exists():
            film(actor, clips[-1], seconds=seconds, px=px, seed=seed, audio=False)
    return clips


def crowd_faceset(crowd: Crowd, files: Sequence[Path], work: Path, *, px: int = 256) -> Path:
    """The faceset of ``crowd`` under ``work``, crops of ``px``; one that is there is kept."""
    out = work / "faces" / crowd.name
    if not (out / "faceset.toml").exists():
        finder = "dlib" if crowd.patterns else "sidecar"
        config = ExtractConfig(crowd.name, crowd.rights, finder=finder, every=crowd.every, px=px, all_people=True)
        extract(files, out, config)
    return out
