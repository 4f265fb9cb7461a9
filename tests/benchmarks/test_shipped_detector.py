"""The command of the detector in the package, small: actors alone, 200 steps of a tiny detector."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks.app import SETTINGS
from benchmarks.detector_clips import MotionConfig, film_photograph
from benchmarks.detector_people import PeopleConfig, people_in
from benchmarks.shipped_detector import (
    Costs,
    DetectorSettings,
    load_settings,
    make_detector,
    make_material,
    measurements,
    ship,
    with_training,
)
from detect.calibration.maps import read_calibration
from detect.models import shipped
from detect.models.checkpoint import CARD_NAME, WEIGHTS_NAME, load_detector
from detect.models.predictor import CropPredictor
from shared.config import from_mapping, merged, to_mapping
from shared.dataset import DatasetFolder
from shared.dataset.splits import find_leaks
from shared.errors import CheckpointError, ConfigError, UsageError
from shared.video import probe

TINY = {
    "people": {"actors": 12, "actor_seconds": 0.4, "actor_px": 160, "actor_every": 1},
    "fakes": {
        "number": 1, "pieces": 2, "frames": 4, "finder": "sidecar", "pastes": {"box": 1.0},
        "variants": [{}, {"name": "sharp", "settings": {"blend": {"sharpen": 1.0}}}],
    },
    "swappers": [
        {
            "name": "crowd",
            "settings": {
                "steps": 2, "batch": 2, "preview_every": 1000, "device": "cpu",  # from the base: faces that are found
            },
        }
    ],
    "renditions": ["c23"],
    "twins": [],
    "outside": {
        "renditions": ["c23"],
        "swappers": [{"name": "other", "settings": {"steps": 2, "batch": 2, "device": "cpu"}}],
        "reenactments": [
            {"name": "driven", "settings": {"regions": ["mouth"], "corrections": 0, "max_pose_gap_degrees": 60.0}}
        ],
    },
    "train": {
        "family": "frame", "model": "test_efficientnet", "pretrained": False, "input_px": 64, "batch": 4,
        "frames_per_clip": 3, "steps": 200, "evaluate_every": 100, "save_every": 200, "warmup_steps": 10,
        "faces": {"finder": "dlib", "min_face_px": 16}, "self_blend": {"pastes": []}, "device": "cpu",
    },
    "calibrate": {"replicates": 10, "fewest_clips": 3, "fewest_people": 2},
    "score": {"frames_per_clip": 3},
}  # fmt: skip


def tiny(**train: object) -> DetectorSettings:
    whole = to_mapping(load_settings(SETTINGS / "detector.toml"))
    small = merged(whole, TINY)
    return from_mapping(DetectorSettings, merged(small, {"train": train}), where="tiny")


@pytest.mark.slow
def test_what_bounds_the_ratios_is_made_for_the_people_who_chose_the_step():
    table = {"outside": {"swappers": [{"name": "other", "parts": ["train"]}]}}
    with pytest.raises(ConfigError, match="needs the swapper other for the part val"):
        from_mapping(DetectorSettings, merged(TINY, table))


def test_it_learns_is_shipped_in_half_the_bytes_and_scores_as_before(tmp_path, monkeypatch):
    settings, costs = tiny(), Costs()
    made = make_material(None, tmp_path / "work", settings, costs, jobs=1)
    run = tmp_path / "work" / "run"
    folder = make_detector(made, run, settings, costs)
    out = ship(folder, tmp_path / "assay")

    records = [*DatasetFolder.open(made.dataset).records(), *DatasetFolder.open(made.calibration).records()]
    assert not find_leaks(records)
    # Both classes have the same sizes, renditions and numbers of frames.
    for people in ({record.target_identity for record in records},):
        assert len(people) == 12
    shapes = [
        sorted({(one.width, one.height, one.rendition, one.frames, one.codec) for one in records if one.label == label})
        for label in ("real", "fake")
    ]
    assert shapes[0] == shapes[1]
    assert {record.id.manipulation for record in records} == {None, "crowd-box", "crowd-box-sharp"}

    calibration = read_calibration(out)
    assert calibration is not None
    assert (calibration.population.people_real, calibration.population.real) == (3, 6)
    # What it did not learn from bounds its ratios, a person once.
    outside = calibration.outside
    assert outside is not None
    assert set(outside.tools) == {"other", "driven"}
    assert outside.groups_real == 3
    assert calibration.bounds[1] <= outside.upper_bound
    shown = {one.target_identity for each in made.outside for one in DatasetFolder.open(each).records()}
    assert shown == {one.target_identity for one in records if one.split == "val" and one.id.dataset == "assay-set"}
    full, half = ((each / WEIGHTS_NAME).stat().st_size for each in (run / "detector", out))
    assert half < 0.7 * full

    monkeypatch.setattr(shipped, "SHIPPED_FOLDER", out)
    crops = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    before, after = (CropPredictor.load(each, "cpu").logits(crops) for each in (run / "detector", "assay"))
    # Where the processor makes bfloat16 faster, logits are rounded to 1/128.
    assert np.allclose(before, after, atol=0.05)
    card = (out / CARD_NAME).read_text()
    assert calibration.weights_sha256 in card
    assert "procedural actors" in card
    assert "THIS_FOLDER" not in card.split("## Use")[1].split("```")[1]
    found = {one.name for one in measurements(out, costs)}
    assert {"CPU time: training", "weights", "clip cllr"} <= found


def test_the_same_command_goes_on_and_other_material_is_refused(tmp_path):
    (tmp_path / "material.toml").write_text("real = true\n")
    with pytest.raises(UsageError, match="other settings"):
        make_material(None, tmp_path, tiny(), Costs())


def test_people_are_in_one_part_and_one_man_of_two_clips_is_one_person(tmp_path, monkeypatch):
    material = tmp_path / "material"
    for name, count, end in (("real_faces/uscongress118", 9, "jpg"), ("real_faces/london", 3, "jpg")):
        for number in range(count):
            path = material / f"{name}_{number:03}.{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (material / "video_grid").mkdir()
    for name in ("pwij3p", "id2_vcd_swwp2s", "sbia1a"):
        (material / "video_grid" / f"{name}.mpg").touch()
    monkeypatch.setattr("benchmarks.detector_people.film_actors", lambda *_, **__: [tmp_path / "actor-1.mp4"])
    config = PeopleConfig(
        train={"congress": 3}, val={"congress": 2}, calibration={"congress": 3}, clips={"congress": 1, "grid": 2}
    )
    people = people_in(material, tmp_path, config)
    names = [person.name for person in people]
    assert len(names) == len(set(names)) == 8 + 3 + 2 + 1
    assert {len(person.files) for person in people if person.name == "pwij3p"} == {2}
    parts = [person.part for person in people if person.crowd.name == "congress"]
    assert (parts.count("train"), parts.count("val"), parts.count("calibration")) == (3, 2, 3)
    assert sum(person.has_clips for person in people if person.part == "train") == 1 + 0 + 2 + 0
    with pytest.raises(UsageError, match="congress has 9 people"):
        people_in(material, tmp_path, PeopleConfig(val={"congress": 9}))


def test_a_photograph_is_filmed_with_motion_and_without_borders(tmp_path):
    import cv2

    picture = np.full((60, 50, 3), 200, np.uint8)
    picture[20:40, 15:35] = np.random.default_rng(0).integers(0, 255, (20, 20, 3))
    cv2.imwrite(str(tmp_path / "one.png"), picture)
    config = from_mapping(
        MotionConfig, {"frames": [5, 5], "canvases": [{"width": 160, "height": 96}], "noise": 0.0, "rates": [24]}
    )
    first, second = (
        film_photograph(tmp_path / "one.png", tmp_path / f"{number}.mp4", config, np.random.default_rng(3))
        for number in range(2)
    )
    assert first.read_bytes() == second.read_bytes()
    info = probe(first, count=True)
    assert (info.width, info.height, info.frames_counted, info.frame_rate) == (160, 96, 5, 24)


def test_settings_of_the_training_may_change(tmp_path):
    settings = with_training(load_settings(SETTINGS / "detector.toml"), minutes=None, steps=7, seed=3, device="cpu")
    assert (settings.train.steps, settings.train.seed, settings.train.minutes) == (7, 3, None)
    assert settings.material == load_settings(SETTINGS / "detector.toml").material
    assert (
        dataclasses.replace(settings.train, steps=20000, seed=0, device="auto")
        == load_settings(SETTINGS / "detector.toml").train
    )


def test_a_package_without_a_detector_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "SHIPPED_FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match="no detector comes with this package"):
        load_detector("assay")  # type: ignore[arg-type]
