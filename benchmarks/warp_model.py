"""Makes the network of ``reenact-warp`` that comes with the package, from material that may be given away.

It learns from pairs of moments of clips: ten speakers of GRID, and procedural actors. What is there already is kept,
and an interrupted training goes on, so the same command continues after a stop.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.base_swapper import film_actors
from benchmarks.motion import speakers
from forge.reenacting.networks.checkpoint import WEIGHTS, load_reenactor, reenactor_file, save_reenactor
from forge.reenacting.networks.config import ReenactorConfig
from forge.reenacting.networks.shipped import FOLDER
from forge.reenacting.networks.training import train_reenactor
from shared.faces.facesets.extract import ExtractConfig, extract
from shared.storage import sha256_file, write_text

FAMILY = "reenact-warp"
_PX = 192
_ACTORS = 24


def make_warp(media: Path | None, work: Path, config: ReenactorConfig, *, actors: int = _ACTORS) -> Path:
    """Trains the network in ``work``; returns its run. Without ``media`` it learns from actors alone.

    Raises:
        UsageError: the clips of GRID are missing.
        AssayError: a step failed.
    """
    clips = [] if media is None else speakers(media / "video_grid")
    facesets = [_faceset(clip, "CC-BY-4.0", "dlib", work) for clip in clips]
    filmed = film_actors(work / "actors", actors)
    facesets += [_faceset(clip, "procedural", "sidecar", work) for clip in filmed]
    run = work / "run"
    train_reenactor(facesets, run, config)
    return run


def warp_config(*, steps: int | None = None, minutes: float | None = None, device: str = "auto") -> ReenactorConfig:
    """The settings of the training, for ``steps`` or ``minutes``."""
    usual = ReenactorConfig(
        family=FAMILY, steps=2500, batch=6, learning_rate=8e-4, ema=0.99, save_every=50, log_every=10, device=device
    )
    if minutes is not None:
        return replace(usual, minutes=minutes, steps=10_000_000)
    return usual if steps is None else replace(usual, steps=steps)


def ship(run: Path, folder: Path = FOLDER / FAMILY) -> Path:
    """Writes the network of ``run`` to ``folder`` in half precision, with its model card; returns the file.

    Raises:
        CheckpointError: the run has no network.
        StorageError: writing failed.
    """
    loaded = load_reenactor(reenactor_file(run))
    file = save_reenactor(loaded.net.half(), folder / WEIGHTS, loaded.card)
    card = loaded.card
    rows = [f"| {name} | `{digest[:16]}` |" for name, digest in sorted(card.inputs.items())]
    parameters = sum(each.numel() for each in loaded.net.parameters())
    lines = [
        "# Network of reenact-warp",
        "",
        "Moves the pixels of one picture of a face to where landmarks are to be, and paints lips and eyes, for",
        "`assay forge reenact --family reenact-warp`. It is meant for making labelled fakes to train and test",
        "detectors with; every clip is labelled, marked and signed. It learned from few people, few expressions and",
        "small turns of the head, and is weaker beyond them.",
        "",
        f"{parameters:,} parameters in half precision; {card.steps} steps with seed {card.settings['seed']}, "
        f"{card.seconds:,.0f} s of training, {card.pictures} pictures of {card.clips} clips.",
        f"SHA-256 of `{WEIGHTS}`: `{sha256_file(file)}`.",
        "Made by `python -m benchmarks warp-model MEDIA --ship`; what was measured is in docs/reenact.md.",
        "",
        "Ten speakers of the GRID audiovisual corpus (Cooke et al. 2006, CC BY 4.0) and procedural actors, drawn by",
        "shared.actors:",
        "",
        "| faceset | SHA-256 |",
        "|---|---|",
        *rows,
        "",
    ]
    write_text(folder / "README.md", "\n".join(lines))
    return file


def _faceset(clip: Path, rights: str, finder: str, work: Path) -> Path:
    """The faceset of the one person in ``clip`` under ``work``; one that is there is kept."""
    out = work / "faces" / clip.stem
    if not (out / "faceset.toml").exists():
        extract([clip], out, ExtractConfig(clip.stem, rights, px=_PX, finder=finder))
    return out
