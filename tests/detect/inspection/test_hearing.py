"""The sound of an inspected file: sound files alone, with and without a detector of speech, and damaged ones."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from detect.calibration.maps import LikelihoodMap
from detect.cases.log import StepLog
from detect.cases.seal import check_case
from detect.inspection.batch import inspect_folder, media_in
from detect.inspection.hearing import NOT_HEARD, hear
from detect.inspection.inspect import InspectConfig, inspect_file
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from detect.speech.checkpoint import SpeechFacts, load_speech, save_speech
from detect.speech.contract import RATE
from detect.speech.domain import SpeechDomain, figures_of
from detect.speech.gmm import features, fit_gmm
from shared.audio.isolated import holds_only_sound, isolated_samples, sound_file_facts
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.cli import run
from shared.errors import MediaError
from shared.results.scores import Evaluation
from shared.video.child import Child, NoChild
from tests.detect.speech.conftest import heard_as_speech, voice
from tests.factories import write_clip

_ = heard_as_speech  # a fixture of every test here


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of a buzz, whose calibration is written by hand."""
    real = [features(voice(seed)) for seed in range(4)]
    fake = [features(voice(seed, buzz=True)) for seed in range(4)]
    detector = fit_gmm(real, fake, components=4, most_frames=2000, seed=0)
    ends = (-20.0, 20.0)
    ratio = LikelihoodMap("logistic", ends, (-2.0, 2.0), (-2.5, 1.5), (-1.5, 2.5), -2.0, 2.0)
    facts = SpeechFacts(
        detector.kind, 0.0, "the test", 0.0, ratio, "eight recordings",
        (Evaluation("auc", 0.99, "clip", 4, 4, 0.9, 1.0, 4),),
        SpeechDomain.over([figures_of(voice(seed, 3.0, buzz=seed % 2 > 0)) for seed in range(6)]), ("buzz",),
    )  # fmt: skip
    return save_speech(tmp_path_factory.mktemp("listener") / "detector", detector, facts, card="# x\n")


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """Three seconds of a voice, the second of them with a buzz."""
    samples, buzz = voice(9, 3.0), voice(9, 3.0, buzz=True)
    samples[RATE : 2 * RATE] = buzz[RATE : 2 * RATE]
    write_sound(tmp_path / "call.flac", Sound(samples, RATE), tags={"title": "<b>call</b>"})
    return tmp_path / "call.flac"


def test_a_sound_file_has_its_own_result_timeline_and_scores(call, listener, tmp_path, capsys):
    out = tmp_path / "case"
    assert run(["--json", "inspect", str(call), "--speech-detector", str(listener), "--out", str(out)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["score"] is None
    sound = said["sound"]
    assert (said["verdict"], sound["kind"], sound["seconds"]) == (sound["verdict"], "lfcc-gmm", 3.0)
    assert sound["llr"] is not None
    assert any(abs(part["start"] - 1) < 0.2 and abs(part["stop"] - 2) < 0.2 for part in sound["segments"])
    assert not any("no detector for synthetic speech" in line for line in said["not_analysed"])
    assert any("scored every 20 ms" in line for line in said["analysed"])
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 1
    assert "Engines learned from" in page
    assert "<b>call" not in page
    assert "No usable face" not in page
    assert (out / "evidence" / "sound-timeline.png").read_bytes().startswith(b"\x89PNG")
    assert pq.read_table(out / "sound.parquet").num_rows == 151
    assert check_case(out).faults == ()
    assert {"sound file", "sound", "imperceptible mark (sound)"} <= {each["name"] for each in said["evidence"]}


def test_without_a_detector_of_speech_the_report_says_so(call, tmp_path):
    report = inspect_file(call, tmp_path, tmp_path / "case", isolated=False)
    assert report.verdict == "inconclusive"
    assert "--speech-detector" in report.reason
    assert report.sound is None
    assert any("no detector for synthetic speech" in line for line in report.not_analysed)
    assert not (tmp_path / "case" / "sound.parquet").exists()


def test_silence_is_inconclusive_and_still_not_analysed(listener, tmp_path):
    write_sound(tmp_path / "silent.wav", Sound(np.zeros(2 * RATE, np.float32), RATE))
    report = inspect_file(tmp_path / "silent.wav", listener, tmp_path / "case", speech=listener, isolated=False)
    assert report.verdict == "inconclusive"
    assert "silent" in report.reason
    assert report.not_analysed[0].startswith("the sound track: the sound is silent")


@pytest.mark.usefixtures("real_plots")
def test_the_same_sound_gives_the_same_report(call, listener, tmp_path):
    for name in ("one", "two"):
        inspect_file(call, listener, tmp_path / name, speech=listener, isolated=False)
    for file in ("report.json", "report.html", "sound.parquet", "evidence/sound-timeline.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_a_film_without_sound_is_told_apart(listener, tmp_path):
    film = write_clip(tmp_path / "film.mp4", np.full((5, 48, 64, 3), 90, np.uint8))
    assert not holds_only_sound(film)
    heard = hear(NoChild(film), load_speech(listener), StepLog(), seed=0)
    assert heard.result is None
    assert heard.not_analysed == ("the sound track: the file has no sound",)
    assert hear(NoChild(film), None, StepLog(), seed=0) is NOT_HEARD


def test_the_child_reads_what_this_process_reads(call):
    with Child(call) as source:
        assert source.call(holds_only_sound)
        head, samples = isolated_samples(source, 2)
    own_head, own = isolated_samples(NoChild(call), 2)
    assert head == own_head
    assert (samples == own).all()
    assert (head.count, head.begins, head.rest) == (2 * RATE, 0.0, "what comes behind the first 2 s")
    facts = sound_file_facts(call)
    assert (facts.codec, facts.rate, facts.channels) == ("flac", RATE, 1)
    assert dict(facts.tags)["title"] == "<b>call</b>"


def test_damaged_and_misnamed_sounds_are_a_sentence(listener, tmp_path, capsys):
    (tmp_path / "noise.mp3").write_bytes(bytes(range(256)) * 20)
    assert not holds_only_sound(tmp_path / "noise.mp3")
    assert not holds_only_sound(tmp_path / "none.wav")
    write_sound(tmp_path / "real.wav", Sound(voice(1), RATE))
    (tmp_path / "real.wav").rename(tmp_path / "picture.png")
    report = inspect_file(tmp_path / "picture.png", listener, tmp_path / "case", speech=listener, isolated=False)
    assert report.sound is not None  # by its content
    words = ["inspect", str(tmp_path / "noise.mp3"), "--out", str(tmp_path / "x"), "--speech-detector", str(listener)]
    assert run(words) == 1
    assert "noise.mp3" in capsys.readouterr().err
    assert run([*words[:-1], str(tmp_path)]) == 1
    assert "speech.json does not exist" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(MediaError, match="no sound"):
        sound_file_facts(write_clip(tmp_path / "film.mp4", np.zeros((3, 48, 64, 3), np.uint8)))


def test_sounds_of_a_folder_are_taken_with_a_detector_of_speech(tmp_path):
    for name in ("a.mp4", "b.wav", "c.txt", "d.MP3"):
        (tmp_path / name).touch()
    assert media_in(tmp_path) == ["a.mp4"]
    assert media_in(tmp_path, sounds=True) == ["a.mp4", "b.wav", "d.MP3"]


def test_the_index_of_a_folder_says_what_was_heard(call, listener, tmp_path):
    model = build_detector("mobilenetv3_small_050", input_px=32)
    detector = save_detector(model, tmp_path / "detector", DetectorFacts(model.spec), card="# x\n")
    folder, out = tmp_path / "media", tmp_path / "out"
    folder.mkdir()
    call.rename(folder / call.name)
    Image.fromarray(np.full((96, 160, 3), 150, np.uint8)).save(folder / "still.png")
    config = InspectConfig(finder="toy", isolated=False)
    heard, still = inspect_folder(folder, detector, out, config, speech=listener, device="cpu")
    with (out / "index.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert heard.sound_logit is not None
    assert [line["sound"] for line in lines] == [heard.sound, still.sound] == [heard.verdict, ""]
    assert [line["sound_logit"] for line in lines] == [f"{heard.sound_logit:.6g}", ""]
    assert "not heard" in (out / "index.html").read_text()
