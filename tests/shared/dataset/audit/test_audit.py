"""The audit names what gives a set away, and names nothing in a set built with the controls."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shared.cli import run
from shared.dataset.audit.audit import SELF_SWAPS, audit_dataset, is_self_swap
from shared.dataset.audit.config import AuditConfig
from shared.dataset.audit.faces import FaceBoxes
from shared.dataset.audit.identities import IdentityFindings, LikePair, find_same_people
from shared.dataset.audit.report import summary, write_report
from shared.dataset.frame_table import labels_of, read_frame_table, write_frame_labels
from shared.dataset.manifest import read_manifest, write_manifest
from shared.errors import ConfigError, ManifestError
from tests.factories import clip_record

Copied = Callable[[Path], Path]
QUICK = AuditConfig(frames=2, folds=3, trees=25, finder="none", workers=1)


def test_a_set_without_controls_is_found_out(leaky_set: Path, audits: Path, tmp_path: Path):
    report, curves = audit_dataset(leaky_set, out=audits, config=QUICK)
    container = report.of("container")
    assert container.verdict == "shortcut"
    assert container.area is not None
    assert container.area > 0.8
    assert any("encoder_note" in told for told in container.telling)
    assert "one encoder" in container.advice
    # The other quality of the whole picture shows beside the face too.
    assert report.of("background").verdict == "shortcut"
    assert not report.clean
    page = write_report(report, curves, tmp_path / "audit", QUICK)
    assert "Shortcuts, and what to do" in page.read_text()


def test_a_set_with_controls_has_no_shortcut_and_its_face_separates_the_classes(sound_set: Path, audits: Path):
    report, _ = audit_dataset(sound_set, out=audits, config=QUICK)
    named = {f.probe for f in report.findings if f.verdict == "shortcut"}
    assert named == set()
    for probe in ("container", "background", "border", "colour"):
        assert report.of(probe).verdict in ("none found", "undecided"), probe
    face = report.of("face")
    assert face.verdict == "signal"
    assert face.low is not None
    assert (face.area or 0) > 0.8
    assert face.low > 0.6  # no more can be shown with eight groups
    assert report.of("audio").verdict == "not measured"
    assert "cross-validated in 3 folds" in report.method
    assert report.leaks == ()
    assert "left out by the settings" in report.identities.note


def test_a_second_run_reads_only_what_is_damaged_and_says_the_same(
    sound_set: Path, audits: Path, monkeypatch: pytest.MonkeyPatch
):
    first, _ = audit_dataset(sound_set, out=audits, config=QUICK)
    for stored in sorted((audits / "features").iterdir())[:2]:
        stored.write_bytes(b"cut off")
    assert audit_dataset(sound_set, out=audits, config=QUICK)[0] == first

    def refuse(*_: object) -> None:
        raise AssertionError("was read again")

    monkeypatch.setattr("shared.dataset.audit.samples.read_sample", refuse)
    assert audit_dataset(sound_set, out=audits, config=QUICK)[0] == first


def test_too_few_people_give_no_verdict(leaky_set: Path, copied: Copied, audits: Path):
    folder = copied(leaky_set)
    few = [record for record in read_manifest(folder / "manifest.jsonl") if int(record.target_identity[6:]) < 4]
    write_manifest(folder / "manifest.jsonl", few)
    report, _ = audit_dataset(folder, out=audits, config=QUICK)
    container = report.of("container")
    assert (container.verdict, container.groups) == ("too few to judge", 4)
    assert report.clean
    assert "not decided: Container and codec" in summary(report)


def test_each_rendition_and_self_swaps_are_measured_apart(sound_set: Path, copied: Copied, audits: Path):
    folder = copied(sound_set)
    changed = []
    for record in read_manifest(folder / "manifest.jsonl"):
        index = int(record.target_identity[6:])
        rendition = "low" if index // 2 % 2 else "high"
        source = record.target_identity if record.label == "fake" and index < 2 else record.source_identity
        changed.append(dataclasses.replace(record, rendition=rendition, source_identity=source))
    write_manifest(folder / "manifest.jsonl", changed)
    assert sum(map(is_self_swap, changed)) == 2
    report, _ = audit_dataset(folder, out=audits, config=QUICK)
    assert {finding.part for finding in report.findings} == {"all clips", "high", "low", SELF_SWAPS}
    assert report.of("container").num_fake == 14
    assert report.of("container", SELF_SWAPS).num_fake == 2


def test_pictures_in_two_splits_are_a_leak(sound_set: Path, copied: Copied, audits: Path):
    folder = copied(sound_set)
    records = read_manifest(folder / "manifest.jsonl")
    twin = dataclasses.replace(
        records[0], id=dataclasses.replace(records[0].id, name="twin"), target_identity="stranger", split="test"
    )
    write_manifest(folder / "manifest.jsonl", [*records, twin])
    labels = labels_of([read_frame_table(folder / "frames.parquet")])
    mine = [dataclasses.replace(label, clip=twin.id) for label in labels if label.clip == records[0].id]
    write_frame_labels(folder / "frames.parquet", [*labels, *mine])
    report, _ = audit_dataset(folder, out=audits, config=QUICK)
    assert {report.duplicates[0].first, report.duplicates[0].second} == {str(records[0].id), str(twin.id)}
    assert report.duplicates[0].bits == 0
    assert len(report.leaks) >= 2
    for told in (f"pictures {records[0].sha256}", "of 64 bits"):  # by the manifest, and by what is seen
        line = next(line for line in report.leaks if told in line)
        assert str(twin.id) in line, told
    assert not report.clean


def test_like_faces_are_a_question_and_no_leak(
    sound_set: Path, audits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pair = LikePair("cast/real/a", "cast/real/b", ("ann", "bob"), ("train", "test"), 0.42)
    found = IdentityFindings(2, 2, 0.45, (pair,), pair)
    monkeypatch.setattr("shared.dataset.audit.audit._same_people", lambda *_: found)
    asked, curves = audit_dataset(sound_set, out=audits, config=QUICK)
    assert asked.clean
    assert "1 question about like faces" in summary(asked)
    page = write_report(asked, curves, tmp_path / "audit", QUICK).read_text()
    assert "Look at these two: cast/real/a (ann, train) and cast/real/b (bob, test)" in page
    assert "In two splits" not in page


def test_of_each_two_people_the_nearest_clips_are_asked_about(monkeypatch: pytest.MonkeyPatch):
    places = {"a0": 0.0, "a1": 0.1, "b0": 0.3, "b1": 0.35, "c0": 5.0}
    records = [
        clip_record(name[0], name=name, split="train" if name[0] == "a" else "test", factors={"original_sha256": name})
        for name in places
    ]
    monkeypatch.setattr(
        "shared.dataset.audit.identities._mean_embedding", lambda _folder, one, *_: np.array([places[one.id.name]])
    )
    faces = {one.id: FaceBoxes(np.zeros(1, np.int64), np.ones((1, 4)), np.ones(1, bool)) for one in records}
    embedder = SimpleNamespace(threshold=0.6)
    found = find_same_people(Path(), records, faces, None, embedder)  # type: ignore[arg-type]
    assert [(pair.people, pair.distance) for pair in found.alike] == [(("a", "b"), 0.2)]
    assert found.alike[0].first.endswith("a1")
    assert found.limit == pytest.approx(0.45)


def test_clips_that_cannot_be_read_are_named(sound_set: Path, copied: Copied, audits: Path):
    folder = copied(sound_set)
    (folder / "media/real/clip-3.mp4").write_bytes(b"no video")
    (folder / "media/real/clip-4.mp4").unlink()
    report, _ = audit_dataset(folder, out=audits, config=QUICK)
    assert set(report.unread) == {"cast/real/clip-3", "cast/real/clip-4"}
    assert report.of("container").num_real == 14


def test_one_class_cannot_be_audited(sound_set: Path, copied: Copied, audits: Path):
    folder = copied(sound_set)
    kept = [record for record in read_manifest(folder / "manifest.jsonl") if record.label == "real"]
    write_manifest(folder / "manifest.jsonl", kept)
    with pytest.raises(ManifestError, match="one class only"):
        audit_dataset(folder, out=audits, config=QUICK)


def test_the_command_writes_all_and_ends_with_one_when_strict(
    leaky_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shared.commands.dataset_audit.AuditConfig", partial(AuditConfig, trees=5, folds=2))
    out = tmp_path / "audit"
    line = ["--json", "dataset", "audit", str(leaky_set), "--out", str(out), "--finder", "none", "--frames", "1"]
    assert run(line) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["clean"] is False
    assert json.loads((out / "audit.json").read_text())["shortcuts"] == document["shortcuts"]
    assert {path.name for path in out.iterdir()} >= {"audit.json", "audit.html", "areas.png", "roc.png", "features"}
    assert run([*line, "--strict"]) == 1
    assert "named" in capsys.readouterr().err


def test_text_from_the_set_is_escaped_in_the_page(sound_set: Path, audits: Path, tmp_path: Path):
    report, curves = audit_dataset(sound_set, out=audits, config=QUICK)
    hostile = dataclasses.replace(report, leaks=("<script>alert(1)</script>",))
    page = write_report(hostile, curves, tmp_path / "audit", QUICK).read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"limit": 0.4}, {"min_groups": 1}, {"near_bits": 40}])
def test_settings_out_of_range_are_refused(wrong: dict[str, int]):
    with pytest.raises(ConfigError):
        AuditConfig(**wrong)  # type: ignore[arg-type]
