"""The room of cases: list, upload, player, notes, checks, comparison, and what a hostile case cannot do."""

from __future__ import annotations

import base64
import json
import shutil
from urllib.parse import quote

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import CaseError
from shared.web.found import key_of
from shared.web.rooms.case_files import file_of, read_faces, read_report
from shared.web.tables import case_table
from tests.factories import write_clip
from tests.shared.web.conftest import FRAMES, OLD, key_named, number_of_picture, picture, write_case


@pytest.fixture(scope="module")
def case(client):
    return f"/cases/{key_named(client, '/cases/list.json', 'cases', 'cases/one')}"


def test_the_list_shows_every_case_with_its_result(client):
    rows = {row["place"]: row for row in client.get("/cases/list.json").json()["cases"]}
    one = rows["cases/one"]
    assert (one["name"], one["verdict"], one["logit"], one["differs"]) == ("suspect.mp4", "inconclusive", 0.25, 1)
    assert client.get(f"/cases/{one['key']}/evidence/{one['picture']}").headers["content-type"] == "image/png"
    assert rows["cases/two"]["verdict"] == "fake"
    assert "drop" in client.get("/cases").text


def test_a_case_page_shows_verdict_and_findings_escaped(client, case):
    text = client.get(case).text
    assert "inconclusive" in text
    assert "a gap after frame 7" in text
    assert "style=" not in text
    assert "onclick=" not in text


def test_the_player_gets_tracks_threshold_and_frames_by_index(client, case):
    facts = client.get(f"{case}/clip.json").json()
    assert facts["threshold"] == 0.5
    assert facts["tracks"][0]["frames"] == [0, 5, 10, 15, 20, 25]
    assert facts["tracks"][0]["boxes"][1] == [20.0, 22.0, 68.0, 70.0]
    assert facts["clip"]["width"] == 96
    assert facts["heat"] == [{"frame": 5, "track": 0}]
    for index, kind in ((7, "jpg"), (22, "png")):
        answer = client.get(f"{case}/frames/{index}.{kind}")
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert number_of_picture(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)) == index
    assert client.get(f"{case}/state.json").json()["frames"] == FRAMES


def test_a_frame_is_sent_again_only_if_its_file_became_another(client, work):
    folder, clip = work / "again", work / "again" / "again.mp4"
    folder.mkdir()
    case = f"/landmarks/{key_of('again/again.mp4')}/frames/0.jpg"
    shutil.copyfile(work / "suspect.mp4", clip)
    first = client.get(case)
    assert first.headers["cache-control"] == "private, no-cache"
    asked = {"If-None-Match": first.headers["etag"]}
    assert client.get(case, headers=asked).status_code == 304
    assert client.get(case.replace("/0.", "/1."), headers=asked).status_code == 200
    write_clip(clip, [picture(20 + index) for index in range(5)])
    second = client.get(case, headers=asked)
    assert second.status_code == 200
    assert second.content != first.content
    shutil.rmtree(folder)


def test_faces_of_a_frame_have_landmarks_the_outline_of_the_crop_and_the_heat_map(client, case):
    found = client.get(f"{case}/faces/5.json").json()["faces"][0]
    assert len(found["landmarks"]) == 68
    assert found["heat"] == "face-00-track-0-frame-5-heat.png"
    a, b, c, d, e, f = found["crop"]["matrix"]
    centre = np.array([[a, c], [b, d]]) @ [31.5, 31.5] + [e, f]
    points = np.array(found["landmarks"])
    assert (points.min(0) < centre).all()
    assert (centre < points.max(0)).all()
    assert client.get(f"{case}/faces/6.json").json()["faces"] == []


def test_the_report_is_served_in_a_sandbox_without_scripts(client, case):
    answer = client.get(f"{case}/report")
    assert "<h1>Inspection</h1>" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "script-src" not in policy
    assert "default-src 'none'" in policy


def test_the_verdict_on_the_sound_is_beside_that_on_the_faces(client, work):
    write_case(work / "cases" / "heard", work / "suspect.mp4", verdict="real", sound="fake")
    rows = {row["place"]: row for row in client.get("/cases/list.json").json()["cases"]}
    heard, one = rows["cases/heard"], rows["cases/one"]
    assert (heard["verdict"], heard["sound"], one["sound"]) == ("real", "fake", "")
    text = client.get(f"/cases/{heard['key']}").text
    assert "Parts lie above &lt;the&gt; threshold." in text
    assert "aasist" in text
    assert 'id="sound"' not in client.get(f"/cases/{one['key']}").text
    assert "sound: fake" in client.get(f"/cases/compare/{one['key']}/{heard['key']}").text
    shutil.rmtree(work / "cases" / "heard")


@pytest.mark.parametrize("name", ["..%2freport.json", "face.png%00", "none.png", "report.json"])
def test_only_pictures_of_the_case_are_served(client, case, name):
    assert client.get(f"{case}/evidence/{name}").status_code in (400, 404)


def test_a_note_becomes_a_line_of_the_signed_log(client, case):
    note = {"text": "--by <script> the jaw \u202e", "by": "A. Analyst", "frame": 12}
    steps = client.post(f"{case}/notes", json=note).json()["steps"]
    assert steps[-1]["step"] == "note"
    assert steps[-1]["details"] == {"text": "--by <script> the jaw \\u202e", "frame": 12, "by": "A. Analyst"}
    assert client.get(f"{case}/log.json").json()["steps"] == steps
    checked = client.post(f"{case}/verify", json={}).json()
    assert checked["sound"], checked["faults"]


@pytest.mark.parametrize(
    "note",
    [
        {"text": ""},
        {"text": "x" * 4001},
        {"text": 3},
        {"text": "a", "frame": -1},
        {"text": "a", "frame": True},
        {"text": "a", "by": "x" * 201},
        {"text": "a\0b"},
        {"text": "a\ud800"},
        {"text": "a", "by": "\udc80"},
        [],
    ],
)
def test_a_note_that_is_none_is_refused(client, case, note):
    answer = client.post(f"{case}/notes", content=json.dumps(note))
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_changed_case_is_found_and_takes_no_note(client, work):
    write_case(work / "cases" / "three", work / "suspect.mp4")
    (work / "cases" / "three" / "report.html").write_text("other")
    case = f"/cases/{key_named(client, '/cases/list.json', 'cases', 'cases/three')}"
    checked = client.post(f"{case}/verify", json={}).json()
    assert not checked["sound"]
    assert "report.html was changed" in checked["faults"]
    answer = client.post(f"{case}/notes", json={"text": "a"})
    assert answer.status_code == 422
    assert "was changed" in answer.json()["error"]
    shutil.rmtree(work / "cases" / "three")


def test_two_cases_are_compared_by_their_reports(client, case):
    other = key_named(client, "/cases/list.json", "cases", "cases/two")
    pair = f"/cases/compare/{case.split('/')[-1]}/{other}"
    assert client.get(pair).status_code == 200
    answer = client.get(f"{pair}/differences.json")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["same_file"]
    assert {"what": "verdict", "first": "inconclusive", "second": "fake"} in found["differences"]


def test_a_case_of_another_file_or_an_old_version_is_shown_without_a_player(client, work):
    shutil.copytree(OLD / "case", work / "cases" / "old")
    case = f"/cases/{key_named(client, '/cases/list.json', 'cases', 'cases/old')}"
    facts = client.get(f"{case}/clip.json").json()
    assert facts["clip"] is None
    assert "is not where it was" in facts["why"]
    assert facts["threshold"] is None
    assert client.get(case).status_code == 200
    assert client.get(f"{case}/log.json").json() == {"steps": []}
    assert client.get(f"{case}/frames/0.jpg").status_code == 404
    shutil.rmtree(work / "cases" / "old")


def test_a_case_cannot_name_a_file_that_it_is_not_about(page, work, tmp_path):
    from shared.web.config import WorkFolder
    from shared.web.found import Work

    secret = tmp_path / "secret.mp4"
    secret.write_bytes((work / "suspect.mp4").read_bytes()[:-1] + b"x")
    folder = write_case(tmp_path / "case", work / "suspect.mp4")
    log = (folder / "log.jsonl").read_bytes().replace(str(work / "suspect.mp4").encode(), str(secret).encode())
    (folder / "log.jsonl").write_bytes(log)
    assert file_of(WorkFolder(tmp_path), Work("case", "k", folder, "case")) is None


def test_a_damaged_report_is_one_row_with_its_fault(client, work):
    folder = write_case(work / "cases" / "broken", work / "suspect.mp4")
    (folder / "report.json").write_text("[1")
    row = next(one for one in client.get("/cases/list.json").json()["cases"] if one["place"] == "cases/broken")
    assert "is damaged" in row["fault"]
    assert client.get(f"/cases/{row['key']}", headers={"Accept": "text/html"}).status_code == 422
    shutil.rmtree(folder)


def _table(rows: int = 2, **changed) -> pa.Table:
    columns = {
        "frame": pa.array(range(rows), pa.int32()), "seconds": pa.array([0.0] * rows, pa.float64()),
        "track": pa.array([0] * rows, pa.int32()), "logit": pa.array([0.0] * rows, pa.float32()),
        "box": pa.array([[0, 0, 9, 9]] * rows, pa.list_(pa.float32(), 4)),
    }  # fmt: skip
    return pa.table(columns | changed)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"landmarks": pa.array([[0.0] * 5000, []], pa.list_(pa.float32()))}, "column landmarks is not of the type"),
        ({"landmarks": pa.array([[0.0] * 5000] * 2, pa.list_(pa.float32(), 5000))}, "column landmarks is not"),
        ({"box": pa.array([[0, 0, 9, 9]] * 2, pa.list_(pa.float32()))}, "column box is not of the type"),
        ({"box": pa.array([None, [0, 0, 9, 9]], pa.list_(pa.float32(), 4))}, "cannot be read"),
        ({"frame": pa.array([None, 1], pa.int32())}, "values that are no numbers"),
        ({"frame": pa.array(["0", "1"])}, "column frame is not of the type int32"),
    ],
)
def test_a_table_of_another_shape_is_one_sentence(tmp_path, changed, why):
    pq.write_table(_table(**changed), tmp_path / "frames.parquet")
    with pytest.raises(CaseError, match=why) as caught:
        read_faces(tmp_path)
    assert "\n" not in str(caught.value)


def test_more_values_than_its_rows_can_have_are_counted_before_they_are_unpacked(tmp_path, monkeypatch):
    # The type of the column, which only the program that wrote the file vouches for, does not tell.
    lists = pa.array([[0.0] * 100_000, [0.0]], pa.list_(pa.float32()))
    table = _table(landmarks=lists)
    claimed = pa.schema(
        [pa.field("landmarks", pa.list_(pa.float32(), 136)) if one.name == "landmarks" else one for one in table.schema]
    )
    claim = base64.b64encode(claimed.serialize().to_pybytes())
    with pq.ParquetWriter(tmp_path / "frames.parquet", table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"ARROW:schema": claim})
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(CaseError, match="column landmarks has more values"):
        case_table(tmp_path / "frames.parquet")


def test_html_in_a_report_is_escaped(client, work):
    folder = write_case(work / "cases" / "html", work / "suspect.mp4")
    report = json.loads((folder / "report.json").read_text())
    report |= {"path_name": "<img src=x>", "reason": "<script>alert(1)</script>"}
    (folder / "report.json").write_text(json.dumps(report))
    assert read_report(folder).path_name == "<img src=x>"
    text = client.get(f"/cases/{key_named(client, '/cases/list.json', 'cases', 'cases/html')}").text
    assert "<script>alert" not in text
    assert "<img src=x>" not in text
    shutil.rmtree(folder)


def test_an_uploaded_file_waits_for_its_inspection(client, page, work, monkeypatch):
    monkeypatch.setattr(page.queue, "_has_room", lambda job: False)
    data = (work / "suspect.mp4").read_bytes()
    answer = client.post("/cases/files", content=data, headers={"X-File-Name": quote("Zoë's clip.mp4")})
    found = answer.json()
    job = next(job for job in client.get("/cases/list.json").json()["jobs"] if job["key"] == found["job"])
    assert (job["title"], job["state"], job["kind"]) == ("Zoë's clip.mp4", "waiting", "inspect")
    words = client.get(f"/jobs/{found['job']}/output.json").json()["words"]
    assert words[:2] == ["assay", "inspect"]
    assert words[2].endswith(f"files/{found['file']}/Zo_s_clip.mp4")
    stored = work / "serve" / "files" / found["file"] / "Zo_s_clip.mp4"
    assert stored.read_bytes() == data
    assert "--force" not in words
    client.post(f"/jobs/{found['job']}/stop", json={})


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [("../a.mp4", b"a", 400), ("a.exe", b"a", 400), ("a.mp4", b"", 422), ("a.mp4", b"a" * 1_000_001, 413)],
)
def test_an_upload_that_is_refused_leaves_nothing(client, work, name, content, status):
    before = sorted((work / "serve" / "files").iterdir())
    lines = (work / "serve" / "refused.log").read_text().count("\n") if (work / "serve" / "refused.log").exists() else 0
    assert client.post("/cases/files", content=content, headers={"X-File-Name": quote(name)}).status_code == status
    assert sorted((work / "serve" / "files").iterdir()) == before
    assert (work / "serve" / "refused.log").read_text().count("\n") == lines + 1
