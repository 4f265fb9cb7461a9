"""The region that a detector drew, laid over every scored face of a case."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import CaseError
from shared.web.found import key_of
from shared.web.rooms.case_files import read_regions, region_picture
from tests.shared.web.conftest import write_case, write_regions_of


@pytest.fixture
def case(work):
    folder = write_regions_of(write_case(work / "cases" / "drawn", work / "suspect.mp4"))
    yield folder
    shutil.rmtree(folder)


def test_every_scored_face_has_its_region_as_a_picture(client, case):
    address = f"/cases/{key_of('cases/drawn')}"
    assert client.get(f"{address}/clip.json").json()["regions"] == 6
    for frame in (0, 5, 25):
        (face,) = client.get(f"{address}/faces/{frame}.json").json()["faces"]
        assert face["region"]
    answer = client.get(f"{address}/regions/5/0.png")
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (16, 16, 4)
    assert picture[2, 2].tolist() == [40, 70, 255, 191]
    assert picture[12, 2, 3] == 0
    again = client.get(f"{address}/regions/5/0.png", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    for place in ("6/0", "5/1"):
        assert client.get(f"{address}/regions/{place}.png").status_code == 404


def test_a_case_without_regions_has_none(client, work):
    address = f"/cases/{key_of('cases/one')}"
    assert client.get(f"{address}/clip.json").json()["regions"] == 0
    (face,) = client.get(f"{address}/faces/5.json").json()["faces"]
    assert not face["region"]
    assert read_regions(work / "cases" / "one") == {}


def test_a_case_with_a_damaged_table_of_regions_is_shown_without_them(client, case):
    (case / "regions.parquet").write_bytes(b"PAR1")
    address = f"/cases/{key_of('cases/drawn')}"
    facts = client.get(f"{address}/clip.json").json()
    assert (facts["regions"], len(facts["tracks"])) == (0, 1)
    assert "regions.parquet cannot be read" in facts["regions_fault"]
    (face,) = client.get(f"{address}/faces/5.json").json()["faces"]
    assert not face["region"]


@pytest.mark.parametrize("kind", [pa.binary(4), pa.binary()])
def test_maps_of_another_size_are_refused(tmp_path, kind):
    columns = {"frame": pa.array([0], pa.int32()), "track": pa.array([0], pa.int32())}
    pq.write_table(pa.table(columns | {"region": pa.array([b"abcd"], kind)}), tmp_path / "regions.parquet")
    with pytest.raises(CaseError, match=r"regions\.parquet holds no maps"):
        read_regions(tmp_path)


def test_the_likelier_forged_the_more_opaque():
    data = bytes(range(256))
    alpha = cv2.imdecode(np.frombuffer(region_picture(data), np.uint8), cv2.IMREAD_UNCHANGED)[..., 3].ravel()
    assert (np.diff(alpha.astype(int)) >= 0).all()
    assert (alpha[0], alpha[-1]) == (0, 191)
