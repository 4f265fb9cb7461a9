"""The task of a build that makes a shot of one frame of a generated face, so that it can be driven."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from forge.building.intermediates import PICTURES, ShotFacts, nominal, storing, write_facts, write_found
from forge.building.steps import MADE, Made, found_in, made_finder
from forge.building.stills import MadeStill, MadeStills, read_made_stills
from forge.building.tasks import FaceTask
from forge.generating.output import enlarged
from forge.swapping.tracks import FoundFaces
from shared.device import with_threads
from shared.faces.align import mean_in_crop
from shared.faces.boxes import box_around
from shared.faces.facesets.extract import BESIDE
from shared.faces.finders.sidecar import SidecarFinder
from shared.faces.stream import FollowConfig
from shared.storage import replacing_folder, sha256_file, write_text
from shared.types import Face, Frame, Timestamp
from shared.video.images import read_picture

_RATE = Fraction(25)


def make_face(task: FaceTask) -> int:
    """Makes a shot of one frame of a generated face, at its side as a still; returns the number of frames.

    A face that is not new gives a folder with the reason, and no frame. With landmarks beside every clip, which a
    generated face has none of, its face lies where the generator's framing puts every face.

    Raises:
        FinderError: the finder is not available.
        ManifestError: what another task made is missing or damaged.
        StorageError: writing failed.
    """
    source = Path(task.source)
    made = read_made_stills(source.parent)
    known = made.stills.get(source.stem, MadeStill(why="it was not made"))
    with replacing_folder(Path(task.out)) as draft, with_threads(1):
        if known.why:
            write_text(draft / MADE, json.dumps(asdict(Made((), why=known.why)), sort_keys=True) + "\n")
            return 0
        image = enlarged(read_picture(source), task.px)
        side, time = len(image), Timestamp(0, 1 / _RATE)
        with storing(draft / PICTURES, side, side) as writer:
            writer.write(image, nominal(0))
        found, finder = _faces(task, made, Frame(0, time, image))
        write_found(draft, found)
        facts = ShotFacts(
            source=source.name, source_sha256=sha256_file(source), start=0, width=side, height=side,
            time_base=time.time_base, pts=(0,), finder=finder, embedder=found.embedder,
            same_distance=found.same_distance,
        )  # fmt: skip
        write_facts(draft, facts)
    return 1


def _faces(task: FaceTask, made: MadeStills, frame: Frame) -> tuple[FoundFaces, str]:
    """The faces of the picture, and what found them."""
    if task.finder == BESIDE:
        landmarks = mean_in_crop(len(frame.image), made.framing).astype(np.float32)
        face = Face(box_around(landmarks).astype(np.float32), landmarks, 1.0, 0)
        return FoundFaces({0: frame.time}, {0: (face,)}), SidecarFinder.name
    finder = made_finder(task.finder, task.device, task.min_face_px)
    following = replace(FollowConfig.suited_to(finder), min_face_px=task.min_face_px)
    return found_in([frame], finder, following), finder.name
