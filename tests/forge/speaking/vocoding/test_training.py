"""Training of a vocoder: goes on to the same weights, and is exported with whose speech it learned from."""

import json

import pytest
import torch

from forge.speaking.vocoding import training
from forge.speaking.vocoding.checkpoint import FACTS_NAME, load_vocoder
from forge.speaking.vocoding.config import VocoderConfig
from forge.speaking.vocoding.data import SpokenBatches, read_speech
from forge.speaking.vocoding.training import train_vocoder
from shared.cli import run
from shared.errors import CheckpointError, ConfigError, RunError, UsageError
from shared.provenance.read import read_provenance
from shared.training.metrics import read_metrics
from shared.weights.folder import WEIGHTS_NAME
from tests.forge.speaking.vocoding.conftest import SMALL_VOCODER


def weights(place):
    return load_vocoder(place).network.state_dict()


def test_a_training_makes_a_model_previews_and_a_card(voicesets, tmp_path):
    result = train_vocoder(voicesets, tmp_path / "run", SMALL_VOCODER)
    assert result.steps == 4
    facts = load_vocoder(tmp_path / "run").facts
    assert (facts.voices, facts.rights, facts.steps) == (("r0", "r1", "r2"), ("consent",), 4)
    assert facts.seconds == pytest.approx(5 * 1.5, abs=0.1)  # the first of six is held out
    assert "Voices: r0, r1, r2." in (result.model / "README.md").read_text()
    previews = tmp_path / "run" / "previews"
    assert (previews / "latest.png").read_bytes()[:4] == b"\x89PNG"
    known = read_provenance(previews / "latest.wav")
    assert known is not None
    assert known.says_fake
    assert known.record["manipulation"] == "istft"
    lines = read_metrics(tmp_path / "run")
    assert [line["step"] for line in lines if "loss" in line] == [2, 4]
    assert [line["step"] for line in lines if "held_out_loss" in line] == [2, 4]


def test_the_loss_falls(voicesets, tmp_path):
    train_vocoder(voicesets[:1], tmp_path / "run", SMALL_VOCODER, steps=90, learning_rate=0.01, save_every=45)
    losses = [line["held_out_loss"] for line in read_metrics(tmp_path / "run") if "held_out_loss" in line]
    assert losses[-1] < losses[0] - 0.02


def test_a_stopped_training_goes_on_to_the_same_weights(voicesets, tmp_path, monkeypatch):
    train_vocoder(voicesets[:2], tmp_path / "whole", SMALL_VOCODER)
    step = training.VocoderTraining._take_step

    def stopping(self, fraction):
        if self.step == 3:
            raise KeyboardInterrupt
        return step(self, fraction)

    monkeypatch.setattr(training.VocoderTraining, "_take_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_vocoder(voicesets[:2], tmp_path / "parts", SMALL_VOCODER)
    monkeypatch.setattr(training.VocoderTraining, "_take_step", step)
    train_vocoder(voicesets[:2], tmp_path / "parts", SMALL_VOCODER)
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(one[name], two[name]) for name in one)
    with pytest.raises(RunError, match="r2"):
        train_vocoder(voicesets, tmp_path / "parts", SMALL_VOCODER)


def test_batches_follow_from_seed_and_step(voicesets):
    learned, held_out = read_speech(voicesets)
    assert (len(learned), len(held_out)) == (5, 1)
    batches = SpokenBatches(learned, frames=16, seed=3)
    one, again = batches.batch(7, 4), batches.batch(7, 4)
    assert all(torch.equal(getattr(one, name), getattr(again, name)) for name in ("mel", "pulses", "noise", "samples"))
    assert one.samples.shape == one.pulses.shape == one.noise.shape == (4, 3000)
    assert one.mel.shape == (4, 16, 80)
    assert not torch.equal(one.samples, batches.batch(8, 4).samples)


def test_what_cannot_be_learned_from_is_refused(voicesets, tmp_path):
    with pytest.raises(UsageError, match="are called r0"):
        train_vocoder([voicesets[0], voicesets[0]], tmp_path / "run", SMALL_VOCODER)
    with pytest.raises(ConfigError, match="blocks are 1 to 32"):
        VocoderConfig(blocks=0)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [("spec", {"width": 9, "blocks": 1}, "not of the size"), ("spec", {"width": 10**9, "blocks": 1}, "out of range"),
     ("voices", ["../x"], "voice"), ("format", 9, "format 9")],
)  # fmt: skip
def test_a_damaged_model_is_refused(vocoder_run, name, value, why):
    path = vocoder_run / "vocoder" / FACTS_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(CheckpointError, match=why):
        load_vocoder(vocoder_run)


def test_weights_that_are_no_weights_are_refused(vocoder_run, tmp_path):
    (vocoder_run / "vocoder" / WEIGHTS_NAME).write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="damaged"):
        load_vocoder(vocoder_run)
    with pytest.raises(CheckpointError):
        load_vocoder(tmp_path / "nothing")


def test_training_by_the_command(voicesets, tmp_path, capsys):
    (tmp_path / "small.toml").write_text('width = 8\nblocks = 1\nbatch = 2\nframes = 16\ndevice = "cpu"\n')
    voices = [str(one.path) for one in voicesets[:2]]
    arguments = ["--steps", "2", "--config", str(tmp_path / "small.toml"), "--run", str(tmp_path / "run")]
    assert run(["--json", "forge", "train-vocoder", *voices, *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["steps"], told["voices"]) == (2, ["r0", "r1"])
    assert run(["forge", "train-vocoder", str(tmp_path / "none"), "--run", str(tmp_path / "run")]) == 1
    assert "holds no voiceset" in " ".join(capsys.readouterr().err.split())
