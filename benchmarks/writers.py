"""Four processes that write clips with one name into one set at once: one must succeed, and the set must verify.

The clip is alternately a real one, from another file for each writer, and a fake with three masks. Writers start
together and then wait for a few random milliseconds, so that they collide at every step. In some rounds they also make
the set. After each round exactly one clip with that name must be listed, that of the successful writer; the others must
have failed with an error; the set must verify; and it must hold no other files.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.schema import Measurement
from benchmarks.tamper import LENGTH, PX, Stage, make_stage, write_clip
from forge.swapping.output import Drafts, Made, list_clip, opened_dataset
from shared.dataset import DatasetFolder, add_real_clip, verify_dataset
from shared.dataset.layout import MASKS, MEDIA
from shared.errors import AssayError
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, FrameLabel
from shared.video import Encoding

WRITERS = 4
_NAME = "one"
_SLEEP_SECONDS = 0.03
_QUICK = Encoding(preset="ultrafast", crf=20)


@dataclass(frozen=True)
class Outcome:
    """A round: its seed, how many writers were refused, and what is wrong with it, in words."""

    seed: int
    refused: int
    faults: tuple[str, ...]


_barrier: Barrier | None = None


def run(rounds: int, *, start: int = 0, tick: Callable[[], object] | None = None) -> list[Outcome]:
    """One outcome a round, seeds from ``start`` on."""
    with TemporaryDirectory() as place, _writers() as pool:
        stage = make_stage(Path(place))
        outcomes = []
        for seed in range(start, start + rounds):
            outcomes.append(_round(Path(place) / f"set-{seed}", stage, seed, pool))
            shutil.rmtree(Path(place) / f"set-{seed}")
            if tick is not None:
                tick()
    return outcomes


def measurements(outcomes: list[Outcome]) -> list[Measurement]:
    """Rounds in which anything was wrong, and writers refused a round."""
    bad = sum(bool(outcome.faults) for outcome in outcomes)
    refused = sum(outcome.refused for outcome in outcomes) / len(outcomes)
    note = f"of {len(outcomes)}"
    return [
        Measurement.of("rounds that went wrong", "rounds", [float(bad)], target=0.0, better="lower", note=note),
        Measurement.of("refused writers a round", "writers", [refused], note=f"of {WRITERS}"),
    ]


@contextmanager
def _writers() -> Iterator[Pool]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(WRITERS, initializer=_begin, initargs=(context.Barrier(WRITERS),)) as pool:
        yield pool


def _begin(barrier: Barrier) -> None:
    globals()["_barrier"] = barrier


def _round(folder: Path, stage: Stage, seed: int, pool: Pool) -> Outcome:
    if seed % 4:
        dataset = DatasetFolder.init(folder, folder.name)
        add_real_clip(dataset, stage.clips[-1], identity="before", rights="synthetic", encoding=_QUICK, name="before")
    jobs = [(folder, stage.clips[writer], writer, seed) for writer in range(WRITERS)]
    outcomes = pool.map(_write, jobs, chunksize=1)
    won = [sha256 for sha256, _ in outcomes if sha256]
    refused = [error for _, error in outcomes if error]
    return Outcome(seed, len(refused), tuple(_faults(folder, won, refused)))


def _faults(folder: Path, won: list[str], refused: list[str]) -> Iterator[str]:
    records = DatasetFolder.open(folder).records()
    listed = [record for record in records if record.id.name.startswith(_NAME)]
    if len(won) != 1 or [record.sha256 for record in listed] != won:
        yield f"{len(won)} won, {len(listed)} are listed: {refused}"
    yield from (error for error in refused if "is listed" not in error)
    yield from (str(problem) for problem in verify_dataset(folder) if problem.severity == "error")
    files = {record.path for record in records}
    files |= {path for record in records if record.masks for path in record.masks.paths.values()}
    found = {path for place in (MEDIA, MASKS) for path in (folder / place).rglob("*") if path.is_file()}
    yield from (f"{path} is a stray" for path in found if path.relative_to(folder).as_posix() not in files)
    yield from (f"{path} is a draft" for path in (*folder.rglob("*.part*"), *folder.parent.glob(".set-*")))


def _write(job: tuple[Path, Path, int, int]) -> tuple[str, str]:
    """One writer's part: the SHA-256 of the clip it listed, or why it was refused."""
    folder, source, writer, seed = job
    rng = np.random.default_rng([seed, writer])
    assert _barrier is not None
    _barrier.wait(60)
    time.sleep(rng.uniform(0, _SLEEP_SECONDS))
    try:
        with opened_dataset(folder) as dataset:
            if seed % 2:
                who = f"actor-{writer}"
                record = add_real_clip(
                    dataset, source, identity=who, rights="synthetic", encoding=_QUICK, name=_NAME, tick=_waiting(rng)
                )
            else:
                clip = ClipId(dataset.name, "toy", _NAME)
                record = list_clip(dataset, clip, ".mp4", lambda drafts: _made(drafts, clip, source, writer, rng))
    except AssayError as error:
        return "", str(error)
    return record.sha256, ""


def _waiting(rng: np.random.Generator) -> Callable[[int], object]:
    return lambda _: time.sleep(rng.uniform(0, _SLEEP_SECONDS / LENGTH))


def _made(drafts: Drafts, clip: ClipId, source: Path, writer: int, rng: np.random.Generator) -> Made:
    """A fake that is the copy of a clip, with masks that mark its faked frames."""
    shutil.copyfile(source, drafts.video)
    mask = np.zeros((PX, PX), np.uint8)
    mask[10 + writer : 50, 10:50] = 255
    for draft in drafts.masks.values():
        write_clip(draft, [mask] * LENGTH, Encoding.lossless_mask())
        time.sleep(rng.uniform(0, _SLEEP_SECONDS / 3))
    digests = [sha256_file(path) for path in drafts.masks.values()]
    record = ClipRecord(
        id=clip,
        kind="swap",
        label="fake",
        path=drafts.path,
        sha256=sha256_file(drafts.video),
        target_identity=f"actor-{writer}",
        source_identity="other",
        rights="synthetic",
        frames=LENGTH,
        width=PX,
        height=PX,
        codec="h264",
        faked=((0, LENGTH),),
        masks=dataclasses.replace(drafts.mask_paths, sha256=(digests[0], digests[1], digests[2])),
    )
    return record, [FrameLabel(clip, frame, frame, frame / 25, "fake") for frame in range(LENGTH)]
