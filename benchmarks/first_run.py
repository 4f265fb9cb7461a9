"""The whole workflow on real people: one swapper for all, a labelled set, a detector, its evaluation, two inspections.

Uses the public command line, so every printed line can be repeated. People are given as clips whose file name is the
person; pairs of neighbours are swapped both ways, and each pair is in one split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.typed import do
from shared.dataset import DatasetFolder
from shared.errors import UsageError

SHARES: tuple[tuple[str, float], ...] = (("train", 0.5), ("val", 0.2), ("test", 0.3))


@dataclass(frozen=True)
class Plan:
    """People by clip, and pairs of people by split."""

    clips: dict[str, tuple[Path, ...]]
    pairs: tuple[tuple[str, str], ...]
    split_of: dict[str, str]

    @property
    def groups(self) -> list[str]:
        """``train=ann,bob`` and so on, as ``assay dataset split --group`` takes them."""
        splits = dict.fromkeys(self.split_of.values())
        return [f"{split}={','.join(who for who, its in self.split_of.items() if its == split)}" for split in splits]


def make_plan(clips: Sequence[Path], *, same: dict[str, str] | None = None) -> Plan:
    """Pairs of neighbours in the order given, assigned to splits; ``same`` names clips of one person.

    Raises:
        UsageError: an odd number of people, or too few for three splits.
    """
    by_person: dict[str, tuple[Path, ...]] = {}
    for clip in clips:
        person = (same or {}).get(clip.stem, clip.stem).replace("_", "-")
        by_person[person] = (*by_person.get(person, ()), clip)
    people = list(by_person)
    if len(people) % 2 or len(people) < 6:
        raise UsageError(
            f"{len(people)} people cannot be paired into three splits", hint="give an even number, 6 or more"
        )
    pairs = list(zip(people[::2], people[1::2], strict=True))
    split_of: dict[str, str] = {}
    for number, pair in enumerate(pairs):
        place = (number + 0.5) / len(pairs)
        split = "train" if place < SHARES[0][1] else "val" if place < SHARES[0][1] + SHARES[1][1] else "test"
        split_of.update(dict.fromkeys(pair, split))
    return Plan(by_person, tuple(pairs), split_of)


def first_run(
    plan: Plan, work: Path, *, swap_settings: Sequence[str], detect_settings: Sequence[str], rights: str
) -> None:
    """Runs the workflow in ``work``; existing results are kept, so an interrupted run can be resumed.

    Raises:
        RunError: a command failed.
    """
    for person, clips in plan.clips.items():
        faces = work / "faces" / person
        if not faces.exists():
            do("faces", "extract", *clips, "--identity", person, "--rights", rights, "--out", faces)
    facesets = [work / "faces" / person for person in plan.clips]
    do("forge", "train", *facesets, "--run", work / "swapper", *swap_settings)
    dataset = work / "set"
    if not dataset.exists():
        do("dataset", "init", dataset, "--name", "first-run")
    for person, clips in plan.clips.items():
        do("dataset", "add", dataset, *clips, "--identity", person, "--rights", rights)
    for one, other in plan.pairs:
        for target, source in ((one, other), (other, one)):
            for clip in plan.clips[target]:
                do(
                    "forge", "swap", clip, "--run", work / "swapper", "--source", source, "--identity", target,
                    "--rights", rights, "--out", dataset,
                )  # fmt: skip
    do("dataset", "split", dataset, *(word for group in plan.groups for word in ("--group", group)))
    do("dataset", "verify", dataset)
    do("dataset", "show", dataset)
    do("detect", "train", dataset, "--run", work / "detector", *detect_settings)
    do("detect", "evaluate", work / "detector", dataset, "--clusters", "target", "--out", work / "evaluation")
    folder = DatasetFolder.open(dataset)
    for label in ("fake", "real"):
        clip = next(record for record in folder.records(split="test") if record.label == label)
        media = folder.media_path(clip)
        do("inspect", media, "--detector", work / "detector", "--out", work / f"case-{label}", "--force")
