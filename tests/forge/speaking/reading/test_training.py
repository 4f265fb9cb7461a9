"""Training of a text encoder: what it learns from, goes on to the same weights, and belongs to one voice model."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from forge.speaking.conversion.checkpoint import load_voice_model
from forge.speaking.conversion.training import train_voices
from forge.speaking.reading import training
from forge.speaking.reading.checkpoint import FACTS_NAME, load_text_model
from forge.speaking.reading.config import TextConfig
from forge.speaking.reading.material import at_tempo, batch_of, made_material, told_voices
from forge.speaking.reading.training import train_text
from forge.speaking.reading.words import lesson, word_lists
from shared.errors import AssayError, CheckpointError, ConfigError, RunError, SpeechError, UsageError
from shared.provenance.read import read_provenance
from shared.training.metrics import read_metrics
from tests.forge.speaking.conversion.conftest import SMALL
from tests.forge.speaking.reading.conftest import SMALL_TEXT


def weights(run):
    return load_text_model(run, load_voice_model(run)).encoder.state_dict()


def test_a_training_makes_a_model_and_previews(voice_run):
    result = train_text(voice_run, SMALL_TEXT)
    assert result.steps == 6
    made = load_text_model(voice_run, load_voice_model(voice_run))
    assert made.facts.front_end.voices == ("low", "high")
    low, high = made.facts.front_end.ranges
    assert high.mean > low.mean + 0.3
    previews = voice_run / "text" / "previews"
    assert (previews / "latest.png").read_bytes()[:4] == b"\x89PNG"
    known = read_provenance(previews / "latest.wav")
    assert known is not None
    assert known.says_fake
    assert known.record["identity"] == "r0"
    lines = read_metrics(voice_run / "text")
    assert [line["step"] for line in lines if "loss" in line] == [2, 4, 6]
    assert [line["step"] for line in lines if "held_out_loss" in line] == [2, 4, 6]


def test_the_loss_falls(voice_run):
    train_text(voice_run, SMALL_TEXT, steps=60, log_every=20, save_every=60)
    losses = [line["loss"] for line in read_metrics(voice_run / "text") if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]


def test_a_stopped_training_goes_on_to_the_same_weights(voice_run, monkeypatch):
    train_text(voice_run, SMALL_TEXT)
    whole = weights(voice_run)
    (voice_run / "text").rename(voice_run / "whole")
    step = training.TextTraining._take_step

    def stopping(self, fraction):
        if self.step == 3:
            raise KeyboardInterrupt
        return step(self, fraction)

    monkeypatch.setattr(training.TextTraining, "_take_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_text(voice_run, SMALL_TEXT)
    monkeypatch.setattr(training.TextTraining, "_take_step", step)
    train_text(voice_run, SMALL_TEXT)
    again = weights(voice_run)
    assert all(torch.equal(each, again[name]) for name, each in whole.items())


def test_the_voice_model_stays_as_it_is(voice_run, monkeypatch):
    model = load_voice_model(voice_run)
    before = {name: each.clone() for name, each in model.swapper.state_dict().items()}
    monkeypatch.setattr(training, "load_voice_model", lambda place: model)
    train_text(voice_run, SMALL_TEXT, steps=2)
    assert all(torch.equal(each, before[name]) for name, each in model.swapper.state_dict().items())


def test_the_exported_model_stands_for_its_run(voice_run):
    """A text encoder within it would go with the model's next export."""
    train_text(voice_run / "voice-model", SMALL_TEXT, steps=2)
    assert (voice_run / "text").is_dir()
    assert not (voice_run / "voice-model" / "text").exists()
    model = load_voice_model(voice_run)
    assert load_text_model(voice_run / "voice-model", model).facts.steps == 2


def test_more_sentences_than_fit_memory_are_refused():
    with pytest.raises(ConfigError, match="sentences are 2 to 20,000, got 20001"):
        TextConfig(sentences=20_001)


def test_what_cannot_work_is_refused_before_the_sentences_are_read(voice_run, monkeypatch):
    monkeypatch.setattr(training, "made_material", None)
    monkeypatch.setattr(training, "told_voices", lambda config: ("1", ("a", "b", "c")))
    with pytest.raises(UsageError, match="2 sentences for 3 voices"):
        train_text(voice_run, SMALL_TEXT, sentences=2)
    with pytest.raises(AssayError):
        train_text(voice_run, SMALL_TEXT, device="cuda:99")
    assert not (voice_run / "text").exists()


def test_another_voice_model_needs_another_text_encoder(text_run, voicesets, tmp_path):
    train_voices(voicesets[:2], tmp_path / "other", SMALL, steps=3)
    other = load_voice_model(tmp_path / "other")
    with pytest.raises(CheckpointError, match="other weights of the voice model"):
        load_text_model(text_run, other)
    (text_run / "text").rename(tmp_path / "other" / "text")
    with pytest.raises(RunError, match="voice model"):
        train_text(tmp_path / "other", SMALL_TEXT, steps=2)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("inventory", ["a"], "number of symbols"),
        ("spec", {"width": 13, "code": 4, "symbols": None, "voices": 2}, "not of the size"),
        ("format", 9, "format 9"),
    ],
)
def test_damaged_facts_are_an_error(text_run, name, value, why):
    path = text_run / "text" / "text-encoder" / FACTS_NAME
    facts = json.loads(path.read_text())
    if name == "spec":
        value = {**value, "symbols": facts["spec"]["symbols"]}
    path.write_text(json.dumps({**facts, name: value}))
    with pytest.raises(CheckpointError, match=why):
        load_text_model(text_run, load_voice_model(text_run))


def test_no_text_encoder_says_what_to_do(voice_run):
    with pytest.raises(CheckpointError, match="has no text encoder") as caught:
        load_text_model(voice_run, load_voice_model(voice_run))
    assert "train-text" in str(caught.value.hint)


def test_only_voices_that_tell_phones_are_learned_from(hum_engine):
    assert told_voices(SMALL_TEXT) == ("1", ("low", "high"))
    with pytest.raises(SpeechError, match="dumb does not tell"):
        told_voices(dataclasses.replace(SMALL_TEXT, voices=("low", "dumb")))


def test_material_follows_from_the_seed(voice_run):
    swapper = load_voice_model(voice_run).swapper
    one, two = (made_material(SMALL_TEXT, "1", ("low", "high"), swapper) for _ in range(2))
    assert [each.phones for each in one.lessons] == [each.phones for each in two.lessons]
    assert all(np.array_equal(a.code, b.code) for a, b in zip(one.lessons, two.lessons, strict=True))
    other = made_material(dataclasses.replace(SMALL_TEXT, seed=1), "1", ("low", "high"), swapper)
    assert other.lessons[0].phones != one.lessons[0].phones
    batch = batch_of(one.lessons, one)
    assert batch.code.shape[:2] == batch.inside.shape
    assert batch.pitch.shape[1] == 2 * batch.inside.shape[1]
    voiced = batch.pitch[0][batch.voiced[0]]
    assert float(voiced.median().abs()) < 1.0


def test_tempo_changes_the_number_of_frames(voice_run):
    swapper = load_voice_model(voice_run).swapper
    found = made_material(SMALL_TEXT, "1", ("low", "high"), swapper).lessons[0].features
    slow = at_tempo(found, 1.5)
    assert len(slow) == pytest.approx(1.5 * len(found), abs=2)
    assert len(slow) % 2 == 0
    assert np.nanmedian(slow.pitch) == pytest.approx(np.nanmedian(found.pitch), abs=0.05)


def test_lessons_are_sentences_of_many_words():
    found = [lesson(np.random.default_rng(number)) for number in range(300)]
    assert all(each[0].isupper() and each[-1] in ".?" for each in found)
    assert all(3 <= len(each.split()) <= 30 for each in found)
    assert len({word.strip(".,?").lower() for each in found for word in each.split()}) > 500
    assert len(word_lists()["nouns"]) == len(set(word_lists()["nouns"]))
