"""The rooms of runs, sets and faces: what they show of the files, and what they have done by commands."""

from __future__ import annotations

import json
import re
import shutil
import time

import cv2
import numpy as np
import pytest

from shared.faces.facesets.layout import crop_name
from shared.faces.facesets.reader import Faceset
from shared.faces.finders.sidecar import SidecarFinder
from shared.web.answers import plain
from shared.web.found import WorkIndex, key_of
from shared.web.jobs.record import record
from shared.web.rooms.faces import rows_text
from shared.web.rooms.run_files import curves, last_line


@pytest.fixture
def queued(page, monkeypatch):
    """Jobs wait, so that their command lines can be looked at."""
    monkeypatch.setattr(page.queue, "_has_room", lambda job: False)


def words_of(client, key: str) -> list[str]:
    words = client.get(f"/jobs/{key}/output.json").json()["words"]
    client.post(f"/jobs/{key}/stop", json={})
    until = time.monotonic() + 20
    while client.get(f"/jobs/{key}/output.json").json()["state"] == "waiting" and time.monotonic() < until:
        time.sleep(0.02)  # the queue obeys at its next turn
    return words


def test_work_is_found_by_its_files_and_never_through_links(work, tmp_path):
    found = WorkIndex(work)
    assert [each.name for each in found.all("case")] == ["cases/one", "cases/two"]
    assert [each.name for each in found.all("run")] == ["swapper"]
    assert [each.name for each in found.all("faceset")] == ["faces/actor-50000", "faces/actor-50057"]
    (tmp_path / "link").symlink_to(work / "cases")
    assert WorkIndex(tmp_path).all("case") == []


def test_a_run_shows_its_step_curves_and_settings(client, work):
    run = client.get("/runs/list.json").json()["runs"][0]
    assert (run["name"], run["kind"]) == ("swapper", "swapper")
    assert run["step"] == last_line(work / "swapper")["step"]
    page = client.get(f"/runs/{run['key']}").text
    assert "learning_rate" in page
    found = client.get(f"/runs/{run['key']}/curves.json").json()
    lines = [json.loads(line) for line in (work / "swapper" / "metrics.jsonl").read_text().splitlines()]
    assert found["loss"]["values"] == pytest.approx([line["loss"] for line in lines if "loss" in line], rel=1e-5)
    assert client.get("/runs").status_code == 200


def test_long_curves_are_thinned_and_half_a_line_is_left_out(tmp_path):
    lines = [json.dumps({"step": step, "loss": float(step)}) for step in range(3000)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 30')
    found = curves(tmp_path)["loss"]
    assert len(found["steps"]) == 600
    assert found["values"][0] == pytest.approx(2.0)
    assert last_line(tmp_path)["step"] == 2999
    assert curves(tmp_path / "none") == {}
    assert last_line(tmp_path / "none") == {}


def test_numbers_that_json_does_not_have_take_no_list_down(client, work):
    odd = work / "odd"
    shutil.copytree(work / "swapper", odd)
    (odd / "metrics.jsonl").write_text('{"step": 3, "seconds": 1e999, "loss": NaN, "other": 1' + "0" * 400 + "}\n")
    config = "".join(line for line in (odd / "config.toml").open() if not line.startswith("minutes"))
    (odd / "config.toml").write_text("minutes = inf\n" + config)
    rows = {row["name"]: row for row in client.get("/runs/list.json").json()["runs"]}
    assert rows.keys() == {"odd", "swapper"}
    assert (rows["odd"]["loss"], rows["odd"]["minutes"]) == (None, None)
    assert json.loads(plain({"a": [float("nan"), (1.5, float("-inf"))]}).body) == {"a": [None, [1.5, None]]}
    shutil.rmtree(odd)


def test_previews_are_served_by_name_alone(client, work):
    folder = work / "swapper" / "previews"
    folder.mkdir(exist_ok=True)
    (folder / "step-00000010.jpg").write_bytes(b"\xff\xd8jpeg")
    (folder / "latest.jpg").write_bytes(b"\xff\xd8late")
    run = f"/runs/{key_of('swapper')}"
    assert [one["step"] for one in client.get(f"{run}/state.json").json()["previews"]] == [10, -1]
    assert client.get(f"{run}/previews/latest.jpg").content == b"\xff\xd8late"
    for name in ("run.json", "..%2frun.json", "none.jpg"):
        assert client.get(f"{run}/previews/{name}").status_code in (400, 404, 422)


def test_a_training_is_started_stopped_and_resumed(client, work, page, queued):
    facesets = [key_of("faces/actor-50000"), key_of("faces/actor-50057")]
    values = {"kind": "swapper", "name": "pair", "steps": 5, "facesets": facesets, "recipe": "assay-cpu"}
    answer = client.post("/runs/start", json=values).json()
    words = words_of(client, answer["job"])
    assert words[:3] == ["assay", "forge", "train"]
    assert [word.split("/")[-1] for word in words[3:5]] == ["actor-50000", "actor-50057"]
    assert words[5:] == ["--recipe", "assay-cpu", "--run", str(work.resolve() / "runs" / "pair"), "--steps", "5"]
    assert client.post("/runs/start", json=values).json()["error"] == "runs/pair is there already"
    detector = {"kind": "detector", "name": "det", "steps": 5, "set": key_of("set"), "model": "meso4"}
    words = words_of(client, client.post("/runs/start", json=detector).json()["job"])
    assert words[:4] == ["assay", "detect", "train", str(work.resolve() / "set")]
    shutil.copytree(work / "swapper", work / "runs" / "pair")
    run = f"/runs/{key_of('runs/pair')}"
    answer = client.post(f"{run}/resume", json={}).json()
    assert "job" in answer, answer
    job = answer["job"]
    assert record(page.queue.jobs, job).job().words[-1] == "5"
    assert client.post(f"{run}/resume", json={}).status_code == 422  # it waits already
    assert client.post(f"{run}/stop", json={}).json() == {"job": job}
    shutil.rmtree(work / "runs")


def test_a_run_from_elsewhere_resumes_only_with_its_own_facesets(client, work, queued):
    run = f"/runs/{key_of('swapper')}"
    assert "was not started from this page" in client.post(f"{run}/stop", json={}).json()["error"]
    facts = json.loads((work / "swapper" / "run.json").read_text())
    digests = {Faceset.open(path).digest() for path in (work / "faces").iterdir()}
    answer = client.post(f"{run}/resume", json={})
    if {value for name, value in facts["inputs"].items() if name != "start"} <= digests:
        words = words_of(client, answer.json()["job"])
        assert words[-2:] == ["--config", str(work.resolve() / "swapper" / "config.toml")]
    else:
        assert "are not in this folder" in answer.json()["error"]


@pytest.mark.parametrize(
    "change",
    [{"name": "../x"}, {"name": ""}, {"steps": 0}, {"steps": "5"}, {"steps": True}, {"facesets": ["x", "y"]},
     {"facesets": []}, {"recipe": "--force"}, {"kind": "other"}],
)  # fmt: skip
def test_a_training_with_wrong_values_is_refused(client, change):
    facesets = [key_of("faces/actor-50000"), key_of("faces/actor-50057")]
    values = {"kind": "swapper", "name": "a", "steps": 5, "facesets": facesets, "recipe": "none"} | change
    assert client.post("/runs/start", json=values).status_code in (400, 404)


def test_a_set_lists_its_clips_and_shows_fake_original_and_masks(client):
    assert "2 real, 2 fake" in client.get("/sets").text
    base = f"/sets/{key_of('set')}"
    assert client.get(base).status_code == 200
    clips = {clip["name"]: clip for clip in client.get(f"{base}/clips.json").json()["clips"]}
    fake = clips["actor-50000+actor-50057"]
    assert (fake["label"], fake["manipulation"], fake["masks"]) == ("fake", "lightweight", True)
    assert client.get(f"{base}/{fake['key']}").status_code == 200
    facts = client.get(f"{base}/{fake['key']}/facts.json").json()
    assert [pane["name"] for pane in facts["panes"]] == ["fake", "original", "alpha", "changed", "region"]
    assert facts["faked"] == [[0, 10]]
    images = {}
    for name in ("fake", "original", "region"):
        data = client.get(f"{base}/{fake['key']}/{name}/3.jpg").content
        images[name] = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(float)
    inside = images["region"][..., 0] > 128
    difference = np.abs(images["fake"] - images["original"]).mean(axis=2)
    assert difference[inside].mean() > 2 * difference[~inside].mean()
    assert client.get(f"{base}/{fake['key']}/other/3.jpg").status_code == 404
    assert client.get(f"{base}/{'0' * 16}").status_code == 404


def test_a_re_enactment_is_described_as_one(client, work):
    base = f"/sets/{key_of('set')}"
    clips = client.get(f"{base}/clips.json").json()["clips"]
    fake = next(clip for clip in clips if clip["name"] == "actor-50000+actor-50057")
    people = (fake["source"], fake["target"])
    assert "the face of {} in a clip of {};".format(*people) in client.get(f"{base}/{fake['key']}").text
    shutil.copytree(work / "set", work / "moved")
    manifest = work / "moved" / "manifest.jsonl"
    manifest.write_text(re.sub(r'"kind": ?"swap"', '"kind":"reenact"', manifest.read_text()))
    text = client.get(f"/sets/{key_of('moved')}/{fake['key']}").text
    assert "a clip of {1}, moved by a performance of {0};".format(*people) in text
    assert "the face of" not in text
    shutil.rmtree(work / "moved")


def test_a_set_whose_manifest_names_another_folder_shows_nothing_of_it(client, work):
    shutil.copytree(work / "set", work / "evil")
    manifest = work / "evil" / "manifest.jsonl"
    manifest.write_text(
        manifest.read_text().replace("media/lightweight/actor-50000", "../set/media/lightweight/actor-50000")
    )
    base = f"/sets/{key_of('evil')}"
    clip = next(
        one for one in client.get(f"{base}/clips.json").json()["clips"] if one["name"].startswith("actor-50000+")
    )
    answer = client.get(f"{base}/{clip['key']}/fake/0.jpg")
    assert answer.status_code == 422
    assert "would leave" in answer.json()["error"]
    shutil.rmtree(work / "evil")


def test_a_faceset_is_a_wall_from_which_faces_are_set_aside_and_taken_back(client, work):
    assert "actor-50057" in client.get("/faces").text
    base = f"/faces/{key_of('faces/actor-50000')}"
    assert client.get(base).status_code == 200
    found = client.get(f"{base}/faces.json").json()["columns"]
    count, kept = len(found["kept"]), sum(found["kept"])
    assert all(len(found[name]) == count for name in ("sharpness", "yaw_degrees", "width_px", "frame"))
    crop = client.get(f"{base}/crops/0.png")
    assert crop.headers["content-type"] == "image/png"
    asked = {"If-None-Match": crop.headers["etag"]}
    assert client.get(f"{base}/crops/0.png", headers=asked).status_code == 304
    shutil.copyfile(work / "faces" / "actor-50000" / crop_name(1), work / "faces" / "actor-50000" / crop_name(0))
    assert client.get(f"{base}/crops/0.png", headers=asked).content != crop.content
    (work / "faces" / "actor-50000" / crop_name(0)).write_bytes(crop.content)
    assert client.get(f"{base}/crops/{count}.png").status_code == 404
    answer = client.post(f"{base}/keep", json={"remove": [0, 1]}).json()
    assert answer["kept"] == kept - 2
    faceset = Faceset.open(work / "faces" / "actor-50000")
    assert faceset.rows()[0] == 2
    faceset.verify()
    assert client.get(f"{base}/faces.json").json()["columns"]["kept"][:3] == [False, False, True]


@pytest.mark.parametrize(
    "values", [{"remove": "1"}, {"remove": [True]}, {"restore": [1.5]}, {"remove": list(range(5001))}]
)
def test_rows_that_are_none_are_refused(client, values):
    assert client.post(f"/faces/{key_of('faces/actor-50057')}/keep", json=values).status_code == 400


def test_rows_are_written_short():
    assert rows_text([5, 3, 4, 9, 11, 10, 3]) == "3-5,9-11"


def test_landmarks_are_set_by_hand_and_read_by_the_sidecar_finder(client, work):
    assert key_of("suspect.mp4") in client.get("/landmarks").text
    base = f"/landmarks/{key_of('suspect.mp4')}"
    assert client.get(base).status_code == 200
    facts = client.get(f"{base}/facts.json").json()
    assert (facts["faces"], len(facts["mean"])) == ({}, 68)
    assert client.get(f"{base}/frames/3.jpg").status_code == 200
    points = [[10 + 60 * x, 20 + 60 * y] for x, y in facts["mean"]]
    assert client.post(f"{base}/save", json={"frame": 4, "points": points}).json()["frames"] == [4]
    finder = SidecarFinder(work / "suspect.landmarks.parquet")
    found = finder.find([np.zeros((96, 96, 3), np.uint8)] * 6)
    assert [len(faces) for faces in found] == [0, 0, 0, 0, 1, 0]
    np.testing.assert_allclose(found[4][0].landmarks, points, atol=0.01)
    assert client.get(f"{base}/facts.json").json()["faces"].keys() == {"4"}
    (work / "suspect.landmarks.parquet").unlink()


@pytest.mark.parametrize(
    "values", [{"frame": 1, "points": [[1, 2]]}, {"frame": 1, "points": [["1", 2]] * 68}, {"frame": -1}, {}]
)
def test_points_that_are_none_are_refused(client, values):
    assert client.post(f"/landmarks/{key_of('suspect.mp4')}/save", json=values).status_code == 400
    assert client.post(f"/landmarks/{'0' * 16}/save", json=values).status_code == 404
