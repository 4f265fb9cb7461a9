"""The page answers this machine alone, with its token, from the page itself; every refusal is one line in the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from shared.errors import RunError, UsageError
from shared.web.answers import Pages
from shared.web.app import Page, alone, make_page
from shared.web.config import ServeConfig
from shared.web.guard import HEADERS, MAX_FORM_BYTES, RefusalLog

PORT = 8432
HOST = f"127.0.0.1:{PORT}"
ORIGIN = f"http://{HOST}"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def page(root: Path) -> Page:
    return make_page(root, ServeConfig(max_upload_gb=2.0), port=PORT)


@pytest.fixture
def stranger(page: Page) -> TestClient:
    return TestClient(page.app, base_url=ORIGIN, client=("127.0.0.1", 1), follow_redirects=False)


@pytest.fixture
def client(page: Page, stranger: TestClient) -> TestClient:
    assert stranger.get("/", params={"token": page.access.token}).status_code == 303
    return stranger


def lines(root: Path) -> list[str]:
    log = root / "serve" / "refused.log"
    return log.read_text().splitlines() if log.exists() else []


def refused(root: Path, answer, status: int, why: str, before: int) -> bool:
    """Whether ``answer`` is a refusal with this status, and its one new line in the log says why."""
    new = lines(root)[before:]
    return answer.status_code == status and len(new) == 1 and f" {status} " in new[0] and why in new[0]


def test_the_token_becomes_a_cookie_of_this_site_alone_and_leaves_the_address(page, stranger):
    answer = stranger.get("/", params={"token": page.access.token})
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert page.access.token not in cookie
    assert stranger.get("/cases").status_code == 200


def test_a_token_for_opening_gives_the_cookie_once_and_not_for_long(page, stranger, root, monkeypatch):
    token = page.access.opening()
    assert token != page.access.token
    answer = stranger.get("/", params={"token": token}, headers={"Host": "evil.example"})
    assert answer.status_code == 421  # and it is good still
    assert stranger.get("/", params={"token": token}).status_code == 303
    assert stranger.get("/cases").status_code == 200
    before = len(lines(root))
    assert refused(root, stranger.get("/", params={"token": token}), 401, "its token is another", before)
    late = page.access.opening()
    monkeypatch.setattr("shared.web.guard.time.monotonic", lambda: 1e12)
    assert stranger.get("/", params={"token": late}).status_code == 401
    assert stranger.get("/", params={"token": page.access.token}).status_code == 303


@pytest.mark.parametrize("address", ["/", "/cases", "/cases/list.json", "/static/app.css", "/jobs", "/nothing"])
def test_without_the_token_nothing_is_shown(stranger, root, address):
    before = len(lines(root))
    assert refused(root, stranger.get(address), 401, "it has no token", before)


def test_another_token_and_another_cookie_are_refused(page, stranger, root):
    before = len(lines(root))
    assert refused(root, stranger.get("/", params={"token": "guess"}), 401, "its token is another", before)
    stranger.cookies.set(f"assay_{PORT}", "0" * 64)
    assert refused(root, stranger.get("/cases"), 401, "it has no token", before + 1)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", f"127.0.0.1:{PORT + 1}", "", "127.0.0.1.evil.example"])
def test_another_host_is_refused(client, root, host):
    before = len(lines(root))
    assert refused(root, client.get("/cases", headers={"Host": host}), 421, "Host", before)


def test_both_names_of_this_machine_are_its_own(client):
    assert client.get("/cases").status_code == 200
    answer = client.get("/cases", headers={"Host": f"localhost:{PORT}"})
    assert answer.status_code == 200


def test_another_machine_is_refused_even_with_the_token(page, root):
    far = TestClient(page.app, base_url=ORIGIN, client=("192.0.2.7", 1))
    before = len(lines(root))
    assert refused(root, far.get("/", params={"token": page.access.token}), 403, "not come from this machine", before)


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {}, {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}],
)
def test_a_change_that_another_page_asks_for_is_refused(client, root, headers):
    before = len(lines(root))
    answer = client.post("/jobs/1/stop", content=b"{}", headers=headers)
    assert answer.status_code == 403
    assert len(lines(root)) == before + 1


def test_a_picture_on_another_page_is_refused(client, root):
    before = len(lines(root))
    assert refused(root, client.get("/cases", headers={"Sec-Fetch-Site": "cross-site"}), 403, "another page", before)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../secret",
        "/static/%2e%2e/%2e%2e/secret",
        "/static/..%5c..%5csecret",
        "/static/%252e%252e/secret",
        "/cases/a%00b",
    ],
)
def test_a_path_that_leads_out_is_refused(page, client, root, path):
    import asyncio

    before = len(lines(root))
    told: list[int] = []

    async def send(message):
        if message["type"] == "http.response.start":
            told.append(message["status"])

    cookie = f"assay_{PORT}={page.access.cookie}".encode()
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
             "client": ("127.0.0.1", 1), "headers": [(b"host", HOST.encode()), (b"cookie", cookie)]}  # fmt: skip
    asyncio.run(page.app(scope, None, send))
    assert told == [400]
    assert len(lines(root)) == before + 1


def test_methods_that_the_page_does_not_use_are_refused(client, root):
    before = len(lines(root))
    assert refused(root, client.put("/cases", headers={"Origin": ORIGIN}), 405, "method", before)


def test_ten_declared_gigabytes_are_refused_before_a_byte_is_read(page, root):
    import asyncio

    told: list[int] = []

    async def receive():
        raise AssertionError("the body was read")

    async def send(message):
        if message["type"] == "http.response.start":
            told.append(message["status"])

    headers = {"host": HOST, "origin": ORIGIN, "cookie": f"assay_{PORT}={page.access.cookie}",
               "content-length": str(10_000_000_000), "x-file-name": "a.mp4"}  # fmt: skip
    scope = {"type": "http", "method": "POST", "path": "/cases/files", "raw_path": b"/cases/files",
             "query_string": b"", "client": ("127.0.0.1", 1),
             "headers": [(k.encode(), v.encode()) for k, v in headers.items()]}  # fmt: skip
    before = len(lines(root))
    asyncio.run(page.app(scope, receive, send))
    assert told == [413]
    assert "10,000,000,000 bytes" in lines(root)[before]


def test_a_form_without_a_size_or_with_too_large_a_one_is_refused(client, root):
    before = len(lines(root))
    answer = client.post("/jobs/1/stop", content=iter([b"{}"]), headers={"Origin": ORIGIN})
    assert refused(root, answer, 411, "declare its size", before)
    answer = client.post("/jobs/1/stop", content=b"x" * (MAX_FORM_BYTES + 1), headers={"Origin": ORIGIN})
    assert refused(root, answer, 413, "bytes, more than", before + 1)


def test_a_web_socket_is_closed(page):
    import asyncio

    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(page.app({"type": "websocket", "path": "/", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_every_answer_has_the_headers_that_keep_other_pages_out(client, stranger):
    for answer in (client.get("/cases"), client.get("/static/app.css"), stranger.get("/", params={"token": "x"})):
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_what_is_not_there_is_a_page_for_people_and_json_for_the_page(client, root):
    before = len(lines(root))
    answer = client.get("/nothing", headers={"Accept": "text/html"})
    assert "There is no such page" in answer.text
    assert refused(root, answer, 404, "no such page", before)
    answer = client.get("/cases/<b>", headers={"Accept": "application/json"})
    assert answer.json() == {"error": "there is no such case", "hint": "go back to the list"}


def test_the_log_stays_one_line_for_each_refusal_whatever_was_sent(tmp_path):
    log = RefusalLog(tmp_path / "log" / "refused.log")
    log.add(400, "GET\n", "/a\nb\x1b[31m\u202e" + "x" * 500, "why\nnot")
    text = (tmp_path / "log" / "refused.log").read_text()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert len(text) < 700


def test_the_log_is_not_written_through_a_link(tmp_path):
    (tmp_path / "own.txt").write_text("mine")
    (tmp_path / "refused.log").symlink_to(tmp_path / "own.txt")
    RefusalLog(tmp_path / "refused.log").add(400, "GET", "/", "why")
    assert (tmp_path / "own.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["serve", "serve/files", "serve/cases", "serve/jobs", "serve/indices", "runs"])
def test_a_place_of_the_page_that_is_a_link_is_refused(tmp_path, name):
    root, away = tmp_path / "root", tmp_path / "away"
    (root / name).parent.mkdir(parents=True)
    away.mkdir()
    (root / name).symlink_to(away)
    with pytest.raises(UsageError, match="is a link"):
        make_page(root, ServeConfig(), port=PORT)
    assert list(away.iterdir()) == []


def test_a_folder_has_one_server(tmp_path):
    with alone(tmp_path), pytest.raises(RunError, match="is served already"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_only_the_first_letter_of_a_sentence_is_made_large():
    text = Pages({"version": "1", "root_name": "a"}).page(
        "error.html.j2", room="", error="SHA-256 of IMG_1.MOV", hint=""
    )
    assert "<p>SHA-256 of IMG_1.MOV.</p>" in bytes(text.body).decode()
    text = Pages({"version": "1", "root_name": "a"}).page("error.html.j2", room="", error="there is no CASE", hint="")
    assert "<p>There is no CASE.</p>" in bytes(text.body).decode()
