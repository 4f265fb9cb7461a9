"""The audit's probe of imperceptible marks: nothing in neither or both classes, a shortcut in fakes alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared.actors import cast, portrait
from shared.dataset.audit.audit import WHOLE, _Part, _run_probes
from shared.dataset.audit.config import AuditConfig
from shared.dataset.audit.faces import NOBODY
from shared.dataset.audit.facts import FileFacts
from shared.dataset.audit.samples import REGIONS, ClipSample, read_sample
from shared.marking.embed import MarkWriter
from shared.marking.payload import Payload
from tests.factories import clip_record, write_clip

QUICK = AuditConfig(folds=3, trees=10, finder="none", workers=1, replicates=200)
PEOPLE = 16


def _sample(*, marked: bool) -> ClipSample:
    facts = FileFacts({}, {}, {}, {}, {"read": float(marked), "kind": "set" if marked else "none"})
    rows = {name: np.zeros((0, size), np.float32) for name, size in REGIONS.items()}
    return ClipSample(facts, rows, np.zeros((0, 32, 32), np.uint8))


@pytest.mark.parametrize(
    ("real", "fake", "verdict"),
    [(False, False, "none found"), (True, True, "none found"), (False, True, "shortcut"), (True, False, "shortcut")],
)
def test_only_a_mark_in_one_class_is_a_shortcut(real: bool, fake: bool, verdict: str):
    records, samples = [], []
    for person in range(PEOPLE):
        records += [
            clip_record(f"p{person}", None, name=f"r{person}", dataset="toy"),
            clip_record(f"p{person}", "swap", name=f"f{person}", source=f"p{person ^ 1}", dataset="toy"),
        ]
        samples += [_sample(marked=real), _sample(marked=fake)]
    findings, _ = _run_probes(_Part(WHOLE, records, samples), QUICK)
    found = next(finding for finding in findings if finding.probe == "mark")
    assert found.verdict == verdict
    assert found.area == (1.0 if verdict == "shortcut" else 0.5)
    assert bool(found.advice) == (verdict == "shortcut")


def test_the_mark_of_a_clip_is_among_its_features(tmp_path: Path):
    still = portrait(cast(1, 3)[0], px=256, seed=1).image
    marked = MarkWriter(Payload.of("set", "00" * 32)).mark(still)
    for name, image, wanted in (
        ("a", still, {"read": 0.0, "kind": "none"}),
        ("b", marked, {"read": 1.0, "kind": "set"}),
    ):
        path = write_clip(tmp_path / f"{name}.mp4", [image] * 3)
        assert read_sample(path, (0, 3), NOBODY, 2).facts.mark == wanted
