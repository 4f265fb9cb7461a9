from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.toy_set import film, fingerprint, toy_set
from forge.building.build import build_set, plan_build, work_folder
from forge.building.spec import SetSpec, load_spec
from shared.dataset import DatasetFolder
from shared.engine.local import LocalEngine
from shared.errors import UsageError
from shared.faces.pastes.presets import drawn_names
from shared.provenance.read import read_provenance
from shared.storage import sha256_file
from shared.video import VideoReader, read_mask_frames

FRAMES = 8


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> SetSpec:
    return load_spec(toy_set(tmp_path_factory.mktemp("clips"), groups=(2, 2), frames=FRAMES))


@pytest.fixture(scope="module")
def built(spec: SetSpec, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> DatasetFolder:
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path_factory.getbasetemp() / "assay-home"))
    out = tmp_path_factory.mktemp("built") / "toy"
    result = build_set(spec, out, engine=LocalEngine(1))
    monkeypatch.undo()
    assert not result.skipped
    return DatasetFolder.open(out)


def test_the_set_is_whole_and_verifies(built, spec):
    assert built.verify(deep=True) == []
    kinds = [(r.split, r.id.manipulation or "real", r.rendition) for r in built.records()]
    counts = {kind: kinds.count(kind) for kind in kinds}
    wanted = {"real": 2, "plain": 2, "plain-self": 2, "ladder": 4}
    assert counts == {
        (split, kind, rendition): count
        for split in ("train", "test")
        for kind, count in wanted.items()
        for rendition in ("c23", "small")
    }


def test_both_directions_and_all_renditions_of_a_pair_lie_in_one_split(built):
    split_of = {}
    for record in built.records():
        for person in record.identities:
            assert split_of.setdefault(person, record.split) == record.split
    assert split_of == {"p0": "train", "p1": "train", "p2": "test", "p3": "test"}


def test_real_clips_and_fakes_share_codec_container_size_and_sound(built):
    for rendition in ("c23", "small"):
        facts = {
            (r.codec, r.width, r.height, r.frames, Path(r.path).suffix)
            for r in built.records()
            if r.rendition == rendition
        }
        assert len(facts) == 1
    small = next(r for r in built.records() if r.rendition == "small")
    assert (small.width, small.height) == (48, 48)


def test_both_classes_draw_their_quality_from_one_range_and_say_what_was_drawn(built):
    drawn = {
        label: [int(r.factors["encoding"].removeprefix("h264-crf")) for r in built.records()
                if r.rendition == "c23" and r.label == label]
        for label in ("real", "fake")
    }  # fmt: skip
    assert all(20 <= crf <= 26 for listed in drawn.values() for crf in listed)
    assert len(set(drawn["fake"])) > 1
    assert len(set(drawn["real"])) > 1
    chains = [r.factors["encoding"] for r in built.records() if r.rendition == "small"]
    # Only the last encode of a chain moves.
    assert {chain.split(" > ")[0] for chain in chains} == {"h264-crf35"}
    assert {int(chain.rpartition("crf")[2]) for chain in chains} <= set(range(27, 34))


def test_parents_lead_to_the_real_clip_and_its_first_rendition(built):
    by_id = {record.id: record for record in built.records()}
    for record in built.records():
        parent = by_id[record.parent] if record.parent else None
        if record.label == "fake":
            assert parent is not None
            assert (parent.label, parent.rendition) == ("real", record.rendition)
            assert parent.target_identity == record.target_identity
        elif record.rendition == "c23":
            assert parent is None
        else:
            assert parent is not None
            assert parent.id.name == record.id.name.replace("@small", "@c23")


def test_self_swaps_are_a_class_of_their_own(built):
    for record in built.records():
        assert record.is_self_swap == (record.id.manipulation or "").endswith("-self") == ("self" in record.factors)


def test_checkpoints_are_labels(built):
    steps = {r.id.name.partition("@")[0]: r.factors["steps"] for r in built.records() if r.id.manipulation == "ladder"}
    assert steps["p0-00+p1-s2"] == "2"
    assert steps["p0-00+p1-s4"] == "4"
    swappers = {r.swapper for r in built.records() if r.id.manipulation == "ladder" and r.split == "train"}
    assert len(swappers) == 2


def test_a_fake_of_a_build_says_what_a_swap_says_and_how_it_came_into_the_set(built, spec):
    record = next(r for r in built.records() if r.id.manipulation == "plain" and r.rendition == "c23")
    assert (record.kind, record.seed, record.architecture) == ("swap", spec.set.seed, "lightweight")
    assert None not in (record.swapper, record.config, record.masks, record.content_sha256, record.parent)
    assert record.factors["target_sha256"] == sha256_file(spec.clip_path(f"{record.target_identity}.mp4"))
    assert record.factors["finder"].startswith("sidecar")
    assert {"face", "color", "mask", "blend", "recipe", "encoding", "model"} <= record.factors.keys()
    real = next(r for r in built.records() if r.id == record.parent)
    assert real.factors["original_sha256"] == record.factors["target_sha256"]
    assert "target_sha256" not in real.factors


def test_partial_fakes_are_labelled_frame_by_frame(built):
    for record in (r for r in built.records() if r.id.manipulation == "plain"):
        assert sum(stop - start for start, stop in record.faked) == FRAMES // 2
        inside = {index for start, stop in record.faked for index in range(start, stop)}
        for label in built.frame_labels(record.id):
            assert label.label == ("fake" if label.frame in inside else "real")
            assert label.box is not None


def test_boxes_are_in_the_pixels_of_their_rendition(built):
    boxes = {}
    for record in (r for r in built.records() if r.id.name.startswith("p0-00@")):
        boxes[record.rendition] = [label.box for label in built.frame_labels(record.id)]
    scale = 48 / 80
    for large, small in zip(boxes["c23"], boxes["small"], strict=True):
        assert np.allclose((np.array(large) + 0.5) * scale - 0.5, small, atol=1e-3)


def test_masks_are_shared_by_clips_of_one_size_and_fit_their_pictures(built):
    fakes = [r for r in built.records() if r.label == "fake"]
    assert len({r.masks.alpha for r in fakes}) == len(fakes)  # two sizes here, so none shared
    for record in fakes[:4]:
        faked = {index for start, stop in record.faked for index in range(start, stop)}
        for path in built.mask_paths(record).values():
            masks = list(read_mask_frames(path))
            assert masks[0].shape == (record.height, record.width)
            assert {index for index, mask in enumerate(masks) if mask.any()} == faked


def test_pixels_differ_where_the_mask_says_and_nowhere_else(built):
    by_id = {record.id: record for record in built.records()}
    record = next(r for r in built.records() if r.id.manipulation == "ladder" and r.rendition == "c23")
    changed = np.stack(list(read_mask_frames(built.mask_paths(record)["changed"]))) > 0
    with VideoReader(built.media_path(record)) as fake, VideoReader(built.media_path(by_id[record.parent])) as real:
        pairs = zip(fake, real, strict=True)
        off = np.stack([np.abs(a.image.astype(int) - b.image).max(2) for a, b in pairs])
    assert off[changed].mean() > 3 * off[~changed].mean()


def test_signatures_lead_back_to_the_source_file(built, spec):
    for kind in ("real", "fake"):
        record = next(r for r in built.records() if r.label == kind)
        found = read_provenance(built.media_path(record))
        assert found is not None
        assert found.valid
        assert found.says_fake == (kind == "fake")
        assert found.ingredients[0].sha256 == sha256_file(spec.clip_path(f"{record.target_identity}.mp4"))
        assert next(action.name for action in found.actions) == "c2pa.opened"


def test_what_is_there_is_not_made_again(built, spec):
    planned = plan_build(spec, built.path)
    assert planned.missing == ()
    before = (built.path / "manifest.jsonl").read_bytes()
    result = build_set(spec, built.path, engine=LocalEngine(1))
    assert (result.made, result.tasks) == (0, {})
    assert (built.path / "manifest.jsonl").read_bytes() == before


def test_without_its_work_folder_a_finished_set_needs_nothing(built, spec, tmp_path):
    assert plan_build(spec, built.path, work=tmp_path / "elsewhere").missing == ()


def test_a_rendition_is_added_without_drawing_again(built, spec, tmp_path):
    larger = dataclasses.replace(spec, renditions=(*spec.renditions, "c40"))
    planned = plan_build(larger, built.path)
    assert {step.kind for step in planned.missing} == {"clips"}
    assert len(planned.plan.clips) == len(built) * 3 // 2


def test_each_fake_of_a_build_has_a_paste_of_its_own_in_the_manifest(tmp_path):
    spec = load_spec(toy_set(tmp_path / "clips", groups=(2,), frames=8))
    drawing = dataclasses.replace(spec.manipulation[1], paste={"box": 1.0, "hull-mean": 1.0}, steps=(4,), pairs="all")
    build_set(
        dataclasses.replace(spec, manipulation=(drawing,), renditions=("c23",)), tmp_path / "toy", engine=LocalEngine(1)
    )
    fakes = [record for record in DatasetFolder.open(tmp_path / "toy").records() if record.label == "fake"]
    assert len(fakes) == 2
    for record in fakes:
        assert record.factors["paste"] in ("box", "hull-mean")
        variant = f"{record.factors['paste']}:{record.factors['paste_variant']}"
        short = {"color.method": "color", "mask.kind": "mask", "blend.method": "blend"}
        assert {short.get(name, name) for name in drawn_names(variant)} <= record.factors.keys()
    assert len({str(sorted((k, v) for k, v in record.factors.items() if "." in k)) for record in fakes}) == 2


def test_other_settings_under_the_same_names_are_refused(built, spec):
    other = dataclasses.replace(spec, set=dataclasses.replace(spec.set, seed=5, frames=6))
    with pytest.raises(UsageError, match="made from other material"):
        plan_build(other, built.path)


def test_the_card_and_the_table_load_with_datasets_and_pyarrow(built, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(built.path), cache_dir=str(tmp_path / "cache"))
    names = {"train": "train", "val": "validation", "test": "test"}
    assert {name: sorted(clips["id"]) for name, clips in loaded.items()} == {
        names[split]: sorted(str(one.id) for one in built.records(split=split))
        for split in sorted({one.split for one in built.records()})
    }
    assert {label for clips in loaded.values() for label in clips["label"]} == {"real", "fake"}
    table = pq.read_table(built.path / "frames.parquet")
    assert table.num_rows == len(built) * FRAMES
    assert "Real clips passed the same decoder" in (built.path / "README.md").read_text()


def test_without_controls_real_clips_are_the_files_themselves(spec, tmp_path, built):
    bare = dataclasses.replace(spec, set=dataclasses.replace(spec.set, controls=False), renditions=("c40",))
    out = tmp_path / "bare"
    build_set(bare, out, work=work_folder(built.path, None), engine=LocalEngine(1))
    folder = DatasetFolder.open(out)
    assert folder.verify(deep=True) == []
    reals = [r for r in folder.records() if r.label == "real"]
    assert {r.rendition for r in reals} == {"original"}
    assert {r.content_sha256 for r in reals} == {sha256_file(spec.clip_path(f"p{n}.mp4")) for n in range(4)}
    assert not any("-self" in str(r.id.manipulation) for r in folder.records())
    assert "Built without controls" in (out / "README.md").read_text()


def test_work_folders_lie_beside_the_set():
    assert work_folder(Path("/sets/a"), None) == Path("/sets/a.build")
    assert json.dumps(str(work_folder(Path("/sets/a"), Path("/fast")))) == '"/fast"'


def test_two_builds_of_one_spec_have_one_fingerprint(built, spec, tmp_path):
    out = tmp_path / "again"
    build_set(spec, out, work=work_folder(built.path, None), engine=LocalEngine(1))
    assert fingerprint(out) == fingerprint(built.path)


def test_of_two_people_in_a_clip_one_is_forged_and_the_other_stays_real(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    settings = toy_set(tmp_path / "clips", groups=(3,), frames=FRAMES)
    film(tmp_path / "clips" / "p0.mp4", FRAMES, 0, people=2)
    text = settings.read_text().replace('clips = ["p0.mp4"]', 'clips = [{ path = "p0.mp4", also = ["p1"] }]')
    text = text.replace('name = "plain"', 'name = "plain"\npairs = [["p2", "p0"]]\none_of_many = true')
    forged = {}
    for seed in range(4):
        settings.write_text(text.replace('name = "toy"', f'name = "toy-{seed}"\nseed = {seed}'))
        out = tmp_path / f"set-{seed}"
        build_set(load_spec(settings), out, work=tmp_path / "work", engine=LocalEngine(1))
        fake = next(
            r for r in DatasetFolder.open(out).records() if r.id.manipulation == "plain" and r.rendition == "c23"
        )
        rows = [row for row in pq.read_table(out / "frames.parquet").to_pylist() if row["clip"] == str(fake.id)]
        widths = {label: {row["face_px"] for row in rows if row["label"] == label} for label in ("fake", "real")}
        by_frame = {f: [r["label"] for r in rows if r["frame"] == f] for f in range(FRAMES)}
        assert all(sorted(labels) in (["fake", "real"], ["real", "real"]) for labels in by_frame.values())
        assert {f for f, labels in by_frame.items() if "fake" in labels} == {
            f for a, b in fake.faked for f in range(a, b)
        }
        # The first person's face is the larger one: who is named is who was forged.
        larger = min(widths["fake"]) > max(widths["real"] - widths["fake"], default=0)
        assert fake.target_identity == ("p0" if larger else "p1")
        forged[seed] = fake.target_identity
        if len(set(forged.values())) == 2:
            break
    assert set(forged.values()) == {"p0", "p1"}
