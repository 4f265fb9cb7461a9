"""``assay serve`` listens on the loopback alone, prints its address, and ends with its jobs on Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from shared.cli import run
from shared.console import PROGRESS_FILE, console
from shared.errors import RunError
from shared.storage import read_json


def test_a_folder_that_is_none_and_a_taken_port_are_refused(tmp_path, capsys):
    assert run(["serve", str(tmp_path / "none"), "--no-browser"]) == 2
    assert "is no folder" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run(["serve", str(tmp_path), "--no-browser", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot be used" in capsys.readouterr().err
    assert run(["serve", str(tmp_path), "--max-upload-gb", "0"]) == 2


def test_the_server_answers_its_address_and_ends_on_ctrl_c(tmp_path, capsys):
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from shared.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    words = [sys.executable, "-c", code, "--json", "serve", str(tmp_path), "--no-browser"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    try:
        assert server.stdout is not None
        text = b""
        while not text.endswith(b"}\n"):
            line = server.stdout.readline()
            assert line
            text += line
        address = json.loads(text)["address"]
        assert address.startswith("http://127.0.0.1:")
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        for _ in range(100):
            try:
                page = opener.open(address, timeout=20).read().decode()
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        assert "<h1>Cases</h1>" in page
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address.split("?")[0] + "cases", timeout=20)
        assert refused.value.code == 401
        assert run(["serve", str(tmp_path), "--no-browser"]) == 1
        assert "is served already" in capsys.readouterr().err
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.communicate()
    assert (tmp_path / "serve" / "refused.log").read_text().count("\n") == 1


def test_progress_is_told_to_a_file_that_another_process_follows(tmp_path, monkeypatch):
    path = tmp_path / "progress.json"
    monkeypatch.setenv(PROGRESS_FILE, str(path))
    with console.progress("reading \x1b", 3, unit="frame") as tick:
        assert read_json(path, dict, error=RunError) == {
            "what": "reading \\x1b", "done": 0, "total": 3, "unit": "frame", "note": "",
        }  # fmt: skip
        tick(2, note="half")
        tick()
    assert read_json(path, dict, error=RunError)["done"] == 3
    assert [one.name for one in tmp_path.iterdir()] == ["progress.json"]
    monkeypatch.setenv(PROGRESS_FILE, str(tmp_path / "none" / "progress.json"))
    with console.progress("reading", 1, unit="frame") as tick:
        tick()


def test_a_browser_is_started_with_another_token_than_the_printed_one(tmp_path, monkeypatch):
    from shared.commands import serve as command

    opened, printed = [], []
    monkeypatch.setattr(command, "_open", opened.append)
    monkeypatch.setattr(command.console, "result", printed.append)
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    assert run(["serve", str(tmp_path)]) == 0
    [address] = opened
    base, _, token = address.partition("?token=")
    assert printed[0]["address"].startswith(base + "?token=")
    assert token not in printed[0]["address"]
