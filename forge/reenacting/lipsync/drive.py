"""From a sound to what is driven: the mouth that a model hears in it, at the times of the target's frames."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from forge.reenacting.config import ReenactConfig
from forge.reenacting.lipsync.checkpoint import LipsyncModel
from forge.reenacting.lipsync.features import STEPS, features_of, spectrum_of
from forge.reenacting.lipsync.mouth import motion_of
from forge.reenacting.performance import Performance
from forge.reenacting.shape import mouth_width
from forge.reenacting.transfer import LIPS, MOUTH_RATIO, DrivePlan, driven_frame, weights_of
from shared.audio.reading import read_sound
from shared.audio.sound import Sound, is_silent
from shared.errors import MediaError, UsageError
from shared.video import VideoReader
from shared.video.audio import cut_audio

_MOST_SECONDS = 600.0
_LEAST_SECONDS = 0.5
_ONE_FRAME_SECONDS = 0.04
_SHUT_BELOW = 1.2
"""Spreads of the opening below which lips are drawn together: chosen on speakers of GRID that were left out."""


@dataclass(frozen=True, eq=False)
class HeardMouth:
    """The mouth that goes with a sound.

    Convention:
        start: time of the sound's first sample in its file, in seconds
        motion: (T, 68, 2) in face units, a row a step of 20 ms, from a mouth at rest
        mouth_width: at rest, of the people whose motion it is like
    """

    start: float
    motion: np.ndarray
    mouth_width: float

    def at(self, moments: np.ndarray) -> np.ndarray:
        """(N, 68, 2): the motion at ``moments`` seconds of the file."""
        places = np.clip((moments - self.start) * STEPS, 0, len(self.motion) - 1)
        low = places.astype(int)
        share = (places - low)[:, None, None]
        return (1 - share) * self.motion[low] + share * self.motion[np.minimum(low + 1, len(self.motion) - 1)]


@torch.inference_mode()
def heard_parameters(sound: Sound, model: LipsyncModel) -> np.ndarray:
    """(T, 3): the parameters of the mouth in ``sound``, in face units, a row a step of 20 ms.

    Lips that are heard as nearly shut are shut: a fit by least squares leaves them a little open in pauses and for
    ``p b m``.
    """
    found = model.network(torch.from_numpy(features_of(spectrum_of(sound)))[None])[0].numpy().astype(np.float64)
    share = np.clip(found[:, 0] / _SHUT_BELOW, 0.0, 1.0)
    found[:, 0] *= share * share * (3 - 2 * share)
    return found * model.network.spread.numpy().astype(np.float64)


def heard_mouth(sound: Sound, model: LipsyncModel) -> HeardMouth:
    """The mouth that ``model`` hears in ``sound``.

    Raises:
        MediaError: it is silent, or shorter than half a second.
    """
    if is_silent(sound.samples) or sound.seconds < _LEAST_SECONDS:
        raise MediaError("the sound is silent, or too short to drive a mouth", hint="name a recording of speech")
    network = model.network
    motion = motion_of(heard_parameters(sound, model), network.basis.numpy().astype(np.float64))
    return HeardMouth(float(sound.start), motion, float(network.mouth_width))


def driving_sound(path: Path) -> tuple[Sound, float]:
    """The sound of a file, and the time at which its first frame is shown, or its sound begins if it has no pictures.

    Raises:
        UsageError: it has no sound.
        MediaError: it cannot be read, or is longer than ten minutes.
    """
    sound = read_sound(path, most_seconds=_MOST_SECONDS)
    with suppress(MediaError), VideoReader(path) as reader, closing(reader.times()) as times:  # type: ignore[type-var]
        return sound, next(iter(times)).seconds
    return sound, float(sound.start)


def cut_driving_sound(path: Path, folder: Path, *, moment: float, times: Sequence[float]) -> Path:
    """Copies what is heard of a sound in a clip into a file in ``folder``: ``moment`` at the first of its frame times.

    If they are equal all is copied from the begin on, also what an encoder puts before time 0, as in real clips.

    Raises:
        UsageError: nothing of it is heard.
        MediaError: it cannot be read or copied.
    """
    length = times[-1] - times[0]
    step = length / (len(times) - 1) if len(times) > 1 else _ONE_FRAME_SECONDS
    shift = Fraction(moment - times[0]).limit_denominator(1000)
    stop = Fraction(moment + length + step).limit_denominator(1000)
    cut = cut_audio(path, folder, start=shift or None, stop=stop)
    if cut is None:
        raise UsageError("the sound has ended before the target begins", hint="choose another --offset")
    return cut


def plan_speech(
    target: Performance,
    mouth: HeardMouth,
    wanted: Sequence[int],
    config: ReenactConfig,
    *,
    begins: tuple[float, float] = (0.0, 0.0),
) -> DrivePlan:
    """The plan for the ``wanted`` frames of the target: where its lips and its jaw are to be for the sound.

    ``begins`` are the times of the first frames of target and driver; ``config.offset_seconds`` lies between the two.
    In place of a frame of a driver stands the number of 20 ms steps since the sound began.

    Raises:
        UsageError: a neutral frame shows no face, or no frame of the target lies in the time of the sound.
    """
    own = target.neutral() if config.target_neutral is None else target.place_of(config.target_neutral)
    moments = target.seconds - begins[0] + begins[1] + config.offset_seconds
    steps = (moments - mouth.start) * STEPS
    chosen = set(wanted)
    places = [place for place, frame in enumerate(target.frames) if frame in chosen]
    inside = [place for place in places if -1 <= steps[place] <= len(mouth.motion)]
    if not inside:
        raise UsageError("the sound has ended before the target begins", hint="choose another --offset")
    motion = mouth.at(moments)
    ratio = mouth_width(target.steady_shapes[own]) / max(mouth.mouth_width, 1e-6)
    motion[:, LIPS, 0] *= np.clip(ratio, *MOUTH_RATIO)
    weights = weights_of(inside, target, config.fade_seconds)
    frames = {
        int(target.frames[place]): driven_frame(
            target, place, own, motion[place], config, weight=weights[place], driver=float(steps[place])
        )
        for place in inside
    }
    return DrivePlan(frames, None, int(target.frames[own]), len(places) - len(inside), 0, None)
