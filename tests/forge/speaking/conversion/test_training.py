"""Training of a voice model: goes on to the same weights, exports, and converts."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from forge.speaking.conversion import training
from forge.speaking.conversion.checkpoint import FACTS_NAME, load_voice_model
from forge.speaking.conversion.convert import converted
from forge.speaking.conversion.data import VoiceBatches, held_out_of, read_voices
from forge.speaking.conversion.training import loss_of, train_voices
from shared.audio.loudness import active_level
from shared.errors import CheckpointError, RunError, UnknownNameError, UsageError
from shared.provenance.read import read_provenance
from shared.training.metrics import read_metrics
from shared.weights.folder import WEIGHTS_NAME
from tests.forge.speaking.conversion.conftest import RATE, SMALL, hum


def weights(run):
    return load_voice_model(run).swapper.state_dict()


def test_a_training_makes_a_model_previews_and_a_card(voicesets, tmp_path):
    result = train_voices(voicesets[:2], tmp_path / "run", SMALL, population=voicesets[2:])
    assert result.steps == 6
    model = load_voice_model(tmp_path / "run")
    assert [each.name for each in model.facts.identities] == ["r0", "r1"]
    assert model.facts.population == 1
    assert model.swapper.voices.weight.shape[0] == 2  # the further voice is not given away
    assert model.facts.identities[1].pitch.mean > model.facts.identities[0].pitch.mean
    assert "| r0 | consent |" in (result.model / "README.md").read_text()
    previews = tmp_path / "run" / "previews"
    assert (previews / "latest.png").read_bytes()[:4] == b"\x89PNG"
    known = read_provenance(previews / "latest-1.wav")
    assert known is not None
    assert known.says_fake
    assert [line["step"] for line in read_metrics(tmp_path / "run")] == [2, 4, 6]


def test_only_identities_learn_in_the_second_stage(voicesets, tmp_path):
    train_voices(voicesets[:2], tmp_path / "run", dataclasses.replace(SMALL, steps=3, population_share=0.9))
    first = weights(tmp_path / "run")
    assert first["own_out"].abs().sum() == 0
    train_voices(voicesets[:2], tmp_path / "two", SMALL)
    assert weights(tmp_path / "two")["own_out"].abs().sum() > 0


def test_a_stopped_training_goes_on_to_the_same_weights(voicesets, tmp_path, monkeypatch):
    train_voices(voicesets[:2], tmp_path / "whole", SMALL, population=voicesets[2:])
    step = training.VoiceTraining._take_step

    def stopping(self, fraction):
        if self.step == 5:
            raise KeyboardInterrupt
        return step(self, fraction)

    monkeypatch.setattr(training.VoiceTraining, "_take_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_voices(voicesets[:2], tmp_path / "parts", SMALL, population=voicesets[2:])
    monkeypatch.undo()
    monkeypatch.setattr("shared.voices.extract.speech_spans", lambda sound, _=None: [(0, len(sound))])
    train_voices(voicesets[:2], tmp_path / "parts", SMALL, population=voicesets[2:])
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(one[name], two[name]) for name in one)
    lines = [[(line["step"], line["loss"]) for line in read_metrics(tmp_path / run)] for run in ("whole", "parts")]
    assert lines[0] == lines[1]


def test_a_run_keeps_its_voices(voicesets, tmp_path):
    train_voices(voicesets[:2], tmp_path / "run", SMALL)
    with pytest.raises(RunError, match="r2"):
        train_voices(voicesets, tmp_path / "run", SMALL)


def test_a_run_keeps_who_is_an_identity_and_who_is_population(voicesets, tmp_path):
    result = train_voices(voicesets[:2], tmp_path / "run", SMALL, population=voicesets[2:])
    assert result.facts.population_rights == ("consent",)
    assert "Their rights: consent." in (result.model / "README.md").read_text()
    with pytest.raises(RunError, match=r"input.identity:r0"):
        train_voices(voicesets[1:], tmp_path / "run", SMALL, population=voicesets[:1])


def test_two_identities_are_needed_and_names_differ(voicesets, tmp_path):
    with pytest.raises(UsageError, match="two identities"):
        train_voices(voicesets[:1], tmp_path / "run", SMALL)
    with pytest.raises(UsageError, match="are called r0"):
        train_voices(voicesets[:2], tmp_path / "run", SMALL, population=voicesets[:1])


def test_batches_follow_from_seed_and_step(voicesets):
    voices, more = read_voices(voicesets[:2], voicesets[2:])
    batches = VoiceBatches(voices, more, frames=32, seed=3)
    one, who, _ = batches.batch(7, 16, everyone=True)
    again, _, _ = batches.batch(7, 16, everyone=True)
    assert torch.equal(one.mel, again.mel)
    assert not torch.equal(one.mel, batches.batch(8, 16, everyone=True)[0].mel)
    assert set(who.tolist()) == {0, 1, 2}
    assert set(batches.batch(7, 16, everyone=False)[1].tolist()) == {0, 1}
    assert torch.isfinite(one.pitch).all()


def test_utterances_are_held_out_where_there_are_enough():
    assert [held_out_of(count) for count in (1, 7, 8, 30)] == [0, 0, 2, 2]


def test_the_loss_counts_slopes():
    wanted = torch.zeros(1, 4, 80)
    assert float(loss_of(wanted, wanted)) == 0
    level, wave = torch.ones(1, 4, 80), torch.tensor([1.0, -1.0, 1.0, -1.0])[None, :, None].expand(1, 4, 80)
    assert float(loss_of(level, wanted)) == 1
    assert float(loss_of(wave, wanted)) == 2


def test_a_conversion_is_as_long_and_loud_as_its_source(voicesets, tmp_path):
    train_voices(voicesets[:2], tmp_path / "run", SMALL)
    model = load_voice_model(tmp_path / "run")
    source = hum(1.01, 110)
    source = source.with_samples(0.2 * source.samples)
    made = converted(source, model, "r1")
    assert (len(made), made.rate) == (len(source), RATE)
    assert np.array_equal(made.samples, converted(source, model, "r1").samples)
    levels = [active_level(each.samples, RATE) for each in (made, source)]
    assert levels[0] == pytest.approx(levels[1], abs=0.5)
    with pytest.raises(UnknownNameError, match="no identity 'bob'"):
        converted(source, model, "bob")


def test_a_damaged_model_is_refused(voicesets, tmp_path):
    result = train_voices(voicesets[:2], tmp_path / "run", SMALL)
    facts = result.model / FACTS_NAME
    kept = facts.read_text()
    told = json.loads(kept)
    told["spec"]["width"] = 16
    facts.write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match="damaged"):
        load_voice_model(tmp_path / "run")
    told["spec"] |= {"width": 1024, "rank": 1024, "identities": 1}
    told["spec"]["voices"], told["identities"] = 1, told["identities"][:1]
    facts.write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match="not of the size"):
        load_voice_model(tmp_path / "run")
    told["spec"]["width"] = 10**9
    facts.write_text(json.dumps(told))
    with pytest.raises(CheckpointError):
        load_voice_model(tmp_path / "run")
    facts.write_text(kept)
    (result.model / WEIGHTS_NAME).write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="damaged"):
        load_voice_model(tmp_path / "run")
    with pytest.raises(CheckpointError):
        load_voice_model(tmp_path / "nothing")
