"""Training, evaluation and scoring of all kinds through the command line, on small sounds with a trace."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from detect.calibration.maps import LikelihoodMap
from detect.speech.checkpoint import (
    FACTS_NAME,
    SpeechFacts,
    SpeechModel,
    is_speech_detector,
    load_speech,
)
from detect.speech.contract import RATE, NetworkOptions, SpeechDetector, StepScores
from detect.speech.domain import SoundFigures, SpeechDomain, figures_of
from detect.speech.fitted import fitted_map
from detect.speech.network_training import NetworkTraining, steps_of
from detect.speech.score import score_sound, segments_above, usual_segments
from detect.speech.store import SampleStore, read_samples
from detect.speech.train import SpeechTrainConfig, train_speech
from detect.speech.utterances import Utterance
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.cli import run
from shared.errors import CheckpointError, ConfigError, MediaError, RunError, UnknownNameError
from shared.results.scores import Evaluation
from shared.weights.folder import WEIGHTS_NAME
from tests.detect.speech.conftest import voice

SMALL = {"batch": 4, "crop_seconds": 0.5, "checkpoint_steps": 2, "device": "cpu"}


def test_a_training_gives_a_calibrated_detector_that_finds_the_trace(floor):
    facts = load_speech(floor).facts
    named = {each.metric: each for each in facts.quality}
    assert named["auc"].value > 0.9
    assert named["auc"].low is not None
    assert {"eer", "min_dcf", "cllr", "segment_f1@20ms", "segment_f1@160ms"} <= named.keys()
    assert facts.engines == ("buzz", "part")
    assert facts.trained_on["real"] == "8 recordings"
    assert facts.likelihood is not None
    assert facts.domain is not None
    card = (floor / "detector" / "README.md").read_text()
    assert "buzz, part" in card
    assert "Intervals are over speakers" in card


def test_the_command_line_evaluates_by_engine_and_codec_and_scores_files(floor, speech_set, tmp_path, capsys):
    out = tmp_path / "result.json"
    words = ["detect", "speech", "evaluate", str(speech_set), "--detector", str(floor), "--out", str(out)]
    assert run(words) == 0
    found = json.loads(out.read_text())
    assert [(part["by"], part["name"]) for part in found["parts"]] == [
        ("all", "all"), ("engine", "buzz"), ("engine", "part"), ("codec", "even"), ("codec", "odd"),
    ]  # fmt: skip
    metrics = {each["metric"]: each for each in found["parts"][0]["metrics"]}
    assert {"auc", "eer", "min_dcf", "act_dcf", "cllr", "segment_f1@160ms"} <= metrics.keys()
    assert metrics["auc"]["num_real"] == 4
    shown = capsys.readouterr().out
    assert "engine: buzz" in shown
    assert "minDCF" in shown
    fake = speech_set / "buzz-17.wav"
    none = speech_set / "none.wav"
    assert run(["--json", "detect", "speech", "score", str(fake), str(none), "--detector", str(floor)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "none.wav does not exist" in document["not_scored"][0]
    (said,) = document["files"]
    assert said["logit"] > said["threshold"]
    assert said["llr"] > 0
    assert said["segments"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["evaluate", "SET", "--detector", "none"], "none/detector/speech.json does not exist"),
        (["evaluate", "SET", "--detector", "RUN", "--split", "dev"], "no split 'dev'"),
        (["evaluate", "SET", "--detector", "RUN", "--out", "SET"], "is a folder"),
        (["score", "SET/none.wav", "--detector", "RUN"], "does not exist"),
        (["train", "SET", "--run", "RUN/x", "--model", "spectra"], "no detector of speech is named"),
        (["train", "SET", "--run", "RUN/x", "--backbone", "resnet10t"], "backbone is an option of timm"),
        (["train", "SET", "--run", "RUN/x", "--model", "timm", "--backbone", "resnet10"], "timm has no model"),
        (["train", "SET", "--run", "RUN/x", "--leave-out", "*"], "leaves no fake"),
        (["train", "SET", "--run", "RUN/x", "--batch", "3"], "batch is even"),
        (["train", "SET", "--run", "RUN", "--seed", "5"], "was created with"),
    ],
)
def test_wrong_uses_are_a_sentence(floor, speech_set, capsys, change, words):
    words_given = [each.replace("SET", str(speech_set)).replace("RUN", str(floor)) for each in change]
    assert run(["detect", "speech", *words_given]) in (1, 2)
    assert words in " ".join(capsys.readouterr().err.replace("\n", "").split())


NETWORKS = [("spectral", {}), ("raw", {"residual": True}), ("timm", {"backbone": "mobilenetv3_small_050"})]


@pytest.mark.parametrize(("model", "options"), NETWORKS, ids=[name for name, _ in NETWORKS])
def test_a_stopped_training_of_a_network_ends_in_the_same_weights(speech_set, tmp_path, monkeypatch, model, options):
    settings = {**SMALL, "model": model, "network": options}
    whole = train_speech(speech_set, tmp_path / "whole", steps=4, **settings)
    real_step, count = NetworkTraining._take_step, []

    def broken(self: NetworkTraining) -> float:
        count.append(1)
        if len(count) == 4:
            raise KeyboardInterrupt
        return real_step(self)

    monkeypatch.setattr(NetworkTraining, "_take_step", broken)
    with pytest.raises(KeyboardInterrupt):
        train_speech(speech_set, tmp_path / "parts", steps=4, **settings)
    monkeypatch.setattr(NetworkTraining, "_take_step", real_step)
    assert not (tmp_path / "parts" / "detector").exists()
    parts = train_speech(speech_set, tmp_path / "parts", steps=4, **settings)
    assert (whole.detector / WEIGHTS_NAME).read_bytes() == (parts.detector / WEIGHTS_NAME).read_bytes()
    loaded = load_speech(parts.run)
    assert loaded.facts.kind == model
    assert loaded.facts.options == loaded.detector.options == NetworkOptions(**options)
    card = (parts.detector / "README.md").read_text()
    assert all(f"{name} {value}" in card for name, value in options.items())
    assert loaded.detector.steps(voice(1)).logit == load_speech(whole.run).detector.steps(voice(1)).logit
    with pytest.raises(RunError, match="steps"):
        train_speech(speech_set, tmp_path / "parts", steps=5, **settings)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="batch is even"):
        SpeechTrainConfig(batch=3)
    with pytest.raises(UnknownNameError):
        SpeechTrainConfig(model="x")
    for model, options, words in (
        ("spectral", NetworkOptions(residual=True), "residual is an option of raw, not of spectral"),
        ("raw", NetworkOptions(backbone="lcnet_050"), "backbone is an option of timm"),
        ("lfcc-gmm", NetworkOptions(pretrained=True), "pretrained is an option of timm"),
        ("timm", NetworkOptions(backbone="vit_tiny_patch16_224"), "pictures of any length"),
    ):
        with pytest.raises(ConfigError, match=words):
            SpeechTrainConfig(model=model, network=options)
    with pytest.raises(UnknownNameError, match="no model 'lcnet_05'"):
        SpeechTrainConfig(model="timm", network=NetworkOptions(backbone="lcnet_05"))


def test_labels_of_steps_are_those_of_their_middles():
    utterance = Utterance(Path("x"), True, "a", "e", spans=((0.5, 1.0),))
    truth = steps_of(utterance, 0, 76)
    assert np.flatnonzero(truth).tolist() == list(range(25, 50))
    assert np.flatnonzero(steps_of(utterance, int(0.4 * RATE), 50)).tolist() == list(range(5, 30))
    assert steps_of(Utterance(Path("x"), False, "a"), 0, 3).tolist() == [0, 0, 0]
    assert steps_of(Utterance(Path("x"), True, "a", "e"), 0, 3).tolist() == [1, 1, 1]


def test_a_damaged_detector_is_refused(floor, tmp_path):
    assert is_speech_detector(floor)
    assert is_speech_detector(floor / "detector")
    assert not is_speech_detector(tmp_path)
    for name, text, words in (
        (FACTS_NAME, '{"kind": "lfcc-gmm", "format": 9}', "format 9"),
        (FACTS_NAME, '{"kind": "other"}', "unknown kind"),
        (FACTS_NAME, '{"kind": "timm", "options": {"backbone": "../lcnet_050"}}', "timm has no model"),
        (FACTS_NAME, '{"kind": "timm", "options": {"backbone": "resnet152"}}', "more than 30,000,000"),
        (FACTS_NAME, '{"kind": "timm", "options": {"backbone": "resnet18"}}', "do not fit"),
        (FACTS_NAME, '{"kind": "raw", "options": {"residual": 3}}', "damaged"),
        (FACTS_NAME, "{", "damaged"),
        (WEIGHTS_NAME, "{", "damaged"),
    ):
        copy = Path(shutil.copytree(floor / "detector", tmp_path / "copy", dirs_exist_ok=True))
        (copy / name).write_text(text)
        with pytest.raises(CheckpointError, match=words):
            load_speech(copy)


def test_what_cannot_be_scored_says_why(floor, tmp_path):
    model = load_speech(floor)
    silent = score_sound(model, np.zeros(RATE, np.float32))
    assert (silent.result.verdict, silent.scores) == ("inconclusive", None)
    assert "silent" in silent.result.reason
    assert "0.10 s of sound" in score_sound(model, voice(0)[:1600]).result.reason
    write_sound(tmp_path / "short.wav", Sound(voice(0)[:1600], RATE))
    with pytest.raises(MediaError, match=r"0\.10 s of sound"):
        read_samples(tmp_path / "short.wav")
    write_sound(tmp_path / "silent.wav", Sound(np.zeros(RATE, np.float32), RATE))
    with pytest.raises(MediaError, match="is silent"):
        SampleStore().get(tmp_path / "silent.wav")


def test_outside_its_domain_a_sound_has_no_ratio_and_is_not_validated(floor):
    model = load_speech(floor)
    inside = score_sound(model, voice(30, buzz=True))
    assert inside.result.llr is not None
    assert inside.result.outside == ()
    short = score_sound(model, voice(30, 0.5, buzz=True))
    assert short.result.verdict == "not validated"
    assert short.result.llr is None
    assert [each.fact for each in short.result.outside] == ["seconds"]
    assert "outside the domain" in short.result.reason
    long = score_sound(model, np.tile(voice(30, buzz=True), 4))
    assert long.result.outside == ()
    assert long.result.llr is not None


class Fixed(SpeechDetector):
    """Gives scores that were set."""

    kind = "fixed"

    def __init__(self, values: np.ndarray) -> None:
        self.values = values.astype(np.float32)

    def steps(self, samples: np.ndarray) -> StepScores:
        return StepScores(self.values, np.ones_like(self.values))

    def tensors(self) -> dict:
        return {}


@pytest.mark.parametrize(
    ("values", "verdict", "words"),
    [
        (np.full(500, -4.0), "real", "others it may miss"),
        (np.full(500, 4.0), "fake", "traces like those"),
        (np.r_[np.full(470, -4.0), np.full(30, 8.0)], "inconclusive", "1 segment above: it may be synthetic in part"),
        (np.tile(np.repeat([-4.0, 4.0], 50), 5), "inconclusive", "not clearly on one side"),
        (np.full(20, 4.0), "inconclusive", "no interval"),
        (np.full(500, 2.0), "inconclusive", "no more than weak support"),
    ],
)
def test_the_verdict_follows_interval_ratio_and_segments(values, verdict, words):
    ends = (-10.0, 10.0)
    ratio = LikelihoodMap("logistic", ends, (-3.0, 3.0), (-3.5, 2.5), (-2.5, 3.5), -2.0, 2.0)
    facts = SpeechFacts("fixed", likelihood=ratio, domain=SpeechDomain((0, 99), (0, 8000), (0, 90)))
    found = score_sound(SpeechModel("x", Fixed(values), facts, ""), voice(1, 10.0)).result
    assert found.verdict == verdict
    assert words in found.reason
    assert found.llr is not None
    chance = (Evaluation("auc", 0.6, "clip", 4, 4, 0.4, 0.8),)
    unsure = SpeechModel("x", Fixed(values), dataclasses.replace(facts, quality=chance), "")
    assert score_sound(unsure, voice(1, 10.0)).result.verdict == "not validated"
    bare = SpeechModel("x", Fixed(values), SpeechFacts("fixed"), "")
    assert "no calibration" in score_sound(bare, voice(1, 10.0)).result.reason


def test_the_domain_holds_its_own_sounds_and_names_what_lies_outside():
    domain = SpeechDomain.over([SoundFigures(2, 7000, 50), SoundFigures(4, 8000, 60)])
    assert domain.outside(SoundFigures(3, 7500, 55)) == ()
    found = domain.outside(SoundFigures(0.5, 3400, 55))
    assert [each.fact for each in found] == ["seconds", "band_hz"]
    assert "0.5, validated: from 1.5 on" in found[0].text
    assert domain.outside(SoundFigures(600, 7500, 55)) == ()
    figures = figures_of(voice(0, 2.0))
    assert figures.seconds == 2.0
    assert 500 < figures.band_hz <= 8000


def test_segments_join_over_short_pauses_and_leave_out_short_ones():
    values = np.full(200, -5.0, np.float32)
    values[50:80], values[84:100], values[150:152] = 5, 5, 5
    found = segments_above(StepScores(values, np.ones(200, np.float32)), 0.0, begins=10.0)
    assert [(round(each.start, 1), round(each.stop, 1)) for each in found] == [(11.0, 12.0)]
    assert segments_above(StepScores(values, np.ones(200, np.float32)), 9.0) == ()


def test_few_speakers_give_no_likelihood_map():
    labels = np.tile([False, True], 5)
    logits = np.arange(10.0)
    assert fitted_map(labels, logits, np.repeat(np.arange(5), 2), 0) is None
    assert fitted_map(np.ones(10, bool), logits, np.arange(10), 0) is None


def test_music_and_noise_are_not_judged(floor, monkeypatch):
    monkeypatch.setattr("detect.speech.score.speech_spans", lambda sound: [(0, RATE // 2)])
    found = score_sound(load_speech(floor), voice(30, buzz=True)).result
    assert found.verdict == "not validated"
    assert "Only 0.5 s of the sound are speech" in found.reason


def test_long_real_speech_may_have_more_segments():
    facts = SpeechFacts("fixed", domain=SpeechDomain((1, 6.25), (0, 8000), (0, 90)), segment_threshold=3.0)
    assert [usual_segments(facts, seconds) for seconds in (2, 5, 30, 60, 600)] == [0, 0, 1, 2, 10]
    assert usual_segments(dataclasses.replace(facts, segment_threshold=None), 600) == 0


def test_a_domain_of_an_earlier_version_holds_digital_silence():
    assert SpeechDomain((1, 6), (0, 8800), (76.5, 103.5)).outside(SoundFigures(3, 8000, 70)) == ()
