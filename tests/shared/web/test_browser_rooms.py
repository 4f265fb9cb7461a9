"""Persons split and merged, audits, scoreboards and regions in a real Chromium."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from shared.faces.facesets.reader import Faceset
from shared.storage import sha256_file
from shared.web.app import make_page
from shared.web.config import ServeConfig
from shared.web.found import key_of
from tests.shared.web.conftest import make_work, write_audit, write_board, write_case, write_regions_of
from tests.shared.web.test_browser import CHROMIUM, PHONE, browser, expect, follow, open_case, shown, visit  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_work(tmp_path_factory.mktemp("rooms"))
    write_regions_of(write_case(root / "cases" / "drawn", root / "suspect.mp4"))
    name = re.search('name = "(.*)"', (root / "set" / "dataset.toml").read_text())
    assert name is not None
    made = tmp_path_factory.mktemp("made")
    write_audit(made / "dataset", name[1])
    write_board(made / "score", {"name": name[1], "manifest_sha256": sha256_file(root / "set" / "manifest.jsonl")})
    return root


@pytest.fixture(scope="module")
def address(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address, with its token, of a server of the work folder; audits and scoreboards are there at once."""
    made = next(path for path in work.parent.iterdir() if path.name.startswith("made"))
    program = (
        "import shutil, sys; words = sys.argv[3:]; "
        f"shutil.copytree({str(made)!r} + '/' + words[0], words[words.index('--out') + 1])"
    )
    with socket.socket() as listening, pytest.MonkeyPatch.context() as patch:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        page = make_page(work, ServeConfig(), port=port)
        patch.setattr("shared.web.jobs.queue.BOOT", program)
        server = uvicorn.Server(uvicorn.Config(page.app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}/?token={page.access.token}"
        server.should_exit = True
        thread.join(60)


def open_faceset(page, name: str) -> None:
    follow(page, page.get_by_role("link", name=re.compile(name)).first)
    expect(page.locator(".face").first).to_be_visible()


def test_marked_faces_become_a_new_person_and_go_back(visit, work):  # noqa: F811
    page = visit("/faces")
    open_faceset(page, "actor-50057")
    expect(page.locator("#move")).to_be_hidden()
    page.locator(".face").nth(1).click()
    page.locator(".face").nth(3).click(modifiers=["Shift"])
    page.keyboard.press("m")
    expect(page.locator("#to")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("stranger")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("3 faces moved to stranger, which keeps 3 now")
    expect(page.locator(".face.aside")).to_have_count(3)
    page.goto(page.url.split("/faces")[0] + "/faces")
    open_faceset(page, "stranger")
    page.locator(".face").first.click()
    page.select_option("#to", label="faces/actor-50057")
    expect(page.locator("#person")).to_be_hidden()
    page.locator("#move button").click()
    expect(page.locator("#toasts")).to_contain_text("1 face moved to actor-50057")
    assert Faceset.open(work / "faces" / "actor-50057").info.set_aside == {"moved to stranger": 2}
    assert Faceset.open(work / "faces" / "stranger").info.kept == 2


def test_two_facesets_are_chosen_and_merged(visit, work):  # noqa: F811
    page = visit("/faces")
    expect(page.get_by_role("button", name="Merge")).to_be_hidden()
    for name in ("actor-50000", "actor-50057"):
        page.get_by_label(f"Choose faces/{name}").check()
    expect(page.locator("#chosen")).to_contain_text("actor-50000 and actor-50057 become a new faceset")
    page.locator("#person").fill("actor-both")
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("h1")).to_have_text("actor-both")
    expect(page.locator("#clip option")).to_have_count(3)
    assert Faceset.open(work / "faces" / "actor-both").info.identity == "actor-both"


def test_a_set_is_audited_and_scored_and_both_are_read(visit):  # noqa: F811
    page = visit("/sets")
    follow(page, page.locator(".tile"))
    page.get_by_role("button", name="Audit this set").click()
    follow(page, page.locator("[data-audit] a"))
    expect(page.locator(".result")).to_contain_text("1 shortcut named")
    expect(page.locator("tr[data-verdict=shortcut]")).to_contain_text("its whole interval lies above the limit")
    expect(page.locator("tr[data-verdict=shortcut] svg .range")).to_have_count(1)
    page.get_by_role("tab", name="Result").focus()
    page.keyboard.press("ArrowRight")
    expect(page.frame_locator("iframe.report").locator("h1")).to_have_text("Audit")
    page.goto(page.url.split("/audits")[0] + "/sets")
    follow(page, page.locator(".tile"))
    page.get_by_label("the one in the package").check()
    page.get_by_role("button", name="Score this set").click()
    follow(page, page.locator("[data-board] a"))
    expect(page.locator("h2").first).to_have_text("Clip AUC")
    assert "swap-<b>" in page.locator("table.board").first.inner_text()
    assert "0.810 (0.71 to 0.91)" in page.locator("table.board").first.inner_text()


def test_the_region_is_laid_over_every_scored_frame_by_a_key(visit):  # noqa: F811
    page = open_case(visit, "cases/drawn")
    region = page.locator(".picture image.region")
    page.keyboard.press("r")
    expect(region).to_have_count(1)
    for frame in (5, 10):
        page.keyboard.press("PageDown")
        shown(page, frame)
        expect(region).to_have_attribute("href", re.compile(rf"/regions/{frame}/0\.png$"))
    page.keyboard.press("ArrowRight")
    shown(page, 11)
    expect(region).to_have_count(0)
    page.keyboard.press("PageUp")
    shown(page, 10)
    page.keyboard.press("r")
    expect(region).to_have_count(0)
    assert page.get_by_role("button", name="Region").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("what", ["set", "audit", "board", "faceset"])
def test_on_a_phone_in_the_dark_nothing_is_wider_than_the_screen(visit, work, what):  # noqa: F811
    write = {"audit": write_audit, "board": lambda folder, name: write_board(folder, {"name": name})}.get(what)
    if write is not None:
        write(work / "shown" / what, "phone")
    paths = {"set": "sets/" + key_of("set"), "faceset": "faces/" + key_of("faces/actor-50000")}
    path = paths.get(what, f"{what}s/" + key_of(f"shown/{what}"))
    page = visit(f"/{path}", viewport=PHONE, color_scheme="dark", has_touch=True)
    page.locator("h1").wait_for()
    if what == "faceset":
        page.locator(".face").first.click()
        expect(page.locator("#move")).to_be_visible()
    if what == "set":
        expect(page.locator("#audits li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(value) for value in re.findall(r"\d+", dark)[:3]) < 60
