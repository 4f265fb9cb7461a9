"""The batches of a network's training: fakes beside the recordings that they were made from."""

import dataclasses
from pathlib import Path

import numpy as np

from detect.speech.augment import AugmentConfig
from detect.speech.contract import RATE
from detect.speech.network_training import NetworkTraining, parents_of
from detect.speech.spectral import Spectral
from detect.speech.store import SampleStore
from detect.speech.train import SpeechTrainConfig
from detect.speech.utterances import Utterance
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from tests.detect.speech.conftest import voice

STILL = AugmentConfig(line=0, noise=0, room=0, band=0, companding=0, clipping=0)


def recordings(folder: Path) -> list[Utterance]:
    """Six readers; each fake is its reader's recording, bit for bit."""
    found = []
    for number in range(6):
        for name in ("real", "twin"):
            path = folder / name / f"{number}.wav"
            path.parent.mkdir(exist_ok=True)
            write_sound(path, Sound(voice(number, 2.5), RATE))
            fake = name == "twin"
            parent = f"real/{number}.wav" if fake else ""
            found.append(Utterance(path, fake, str(number), "copy" if fake else "", parent=parent))
    return found


def batch(made: list[Utterance], paired: float, augment: AugmentConfig = STILL) -> np.ndarray:
    """(4, 2, 2 T, 257): the fake and the real recording of each of four pairs."""
    config = SpeechTrainConfig(batch=8, crop_seconds=1.0, paired=paired, augment=augment, device="cpu")
    pictures, truth, _ = NetworkTraining(Spectral, made, config, SampleStore())._batch(np.random.default_rng(3))
    assert truth.mean(1).tolist() == [1.0, 0.0] * 4
    return pictures.numpy()[:, 0].reshape(4, 2, *pictures.shape[2:])


def test_a_fake_and_its_recording_are_cut_and_changed_alike(tmp_path):
    made = recordings(tmp_path)
    for augment in (STILL, AugmentConfig(noise=1.0, room=1.0, companding=1.0)):
        pairs = batch(made, 1.0, augment)
        assert np.array_equal(pairs[:, 0], pairs[:, 1])
        assert not np.array_equal(pairs[0, 0], pairs[1, 0])


def test_without_pairs_a_fake_comes_with_any_recording(tmp_path):
    pairs = batch(recordings(tmp_path), 0.0)
    assert not any(np.array_equal(fake, real) for fake, real in pairs)


def test_parents_are_found_by_the_folder_of_the_list(tmp_path):
    made = recordings(tmp_path)
    found = parents_of(made)
    assert {fake.name: real.path.name for fake, real in found.items()} == {f"{n}.wav": f"{n}.wav" for n in range(6)}
    assert all(not each.fake for each in found.values())
    lost = [dataclasses.replace(each, parent="elsewhere/0.wav" if each.fake else "") for each in made]
    assert parents_of(lost) == {}
