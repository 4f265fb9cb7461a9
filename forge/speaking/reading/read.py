"""A text in the voice of an identity: phones and times of an engine, code and melody of the text encoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from forge.speaking.contract import EngineInfo, Phone, checked_text, say
from forge.speaking.conversion.checkpoint import VoiceModel
from forge.speaking.conversion.features import FRAMING, LEAST_FRAMES
from forge.speaking.conversion.inversion import GRIFFIN_LIM, Inversion
from forge.speaking.reading.checkpoint import TextModel
from forge.speaking.reading.timing import TimedPhones, laid_out, symbols_of
from forge.speaking.targets import target_facts
from shared.audio.loudness import levelled
from shared.audio.sound import WORK_RATE, Sound
from shared.console import console
from shared.errors import CheckpointError, SpeechError, UsageError

MANIPULATION = "text in a trained voice"

_MOST_SECONDS = 120
_SILENT = 0.01
"""A sound whose largest sample is below this holds no speech."""

_LOW_HZ, _HIGH_HZ = 50.0, 600.0


@dataclass(frozen=True, eq=False)
class ReadText:
    """A text that was read: the sound, its phones in samples of it, and the engine that told them."""

    sound: Sound
    phones: tuple[Phone, ...]
    info: EngineInfo


def read_text(
    text: str,
    voice: VoiceModel,
    encoder: TextModel,
    identity: str,
    *,
    engine_voice: str | None = None,
    inversion: Inversion = GRIFFIN_LIM,
    seed: int = 0,
) -> ReadText:
    """The text in the voice of an identity, at 16,000 samples a second.

    Args:
        text: what is read.
        voice: model with the identity.
        encoder: the text encoder of that model.
        identity: who reads.
        engine_voice: of the engine that tells the phones, one that was learned from; by default the first.
        inversion: from spectrograms to sound.
        seed: of everything random.

    Raises:
        UsageError: nothing to say, too long, or a voice of the engine that was not learned from.
        UnknownNameError: the model has no such identity.
        SpeechError: the engine is missing, failed, pronounces nothing, or does not tell the times of phones.
        CheckpointError: what the text encoder gives are no numbers.
    """
    number = voice.number_of(identity)
    front = encoder.facts.front_end
    chosen = front.voices[0] if engine_voice is None else engine_voice
    if chosen not in front.voices:
        raise UsageError(
            f"the text encoder did not learn from a voice {chosen!r} of {front.engine}",
            hint=f"its voices: {', '.join(front.voices)}",
        )
    speech = say(checked_text(text), engine=front.engine, voice=chosen, seed=seed)
    timed = TimedPhones.of(speech)
    if float(np.abs(speech.sound.samples).max(initial=0.0)) < _SILENT:
        raise SpeechError(f"{front.engine} pronounces nothing of this text", hint="write it in English letters")
    if unknown := sorted(set(timed.symbols) - set(encoder.facts.inventory)):
        console.warn(f"phones that the text encoder never heard are guessed: {' '.join(unknown)}")
    if timed.seconds > _MOST_SECONDS:
        raise UsageError(
            f"the text takes {timed.seconds:.0f} s",
            hint=f"at most {_MOST_SECONDS} s are read at once: give it in parts",
        )
    if FRAMING.count(round(timed.seconds * WORK_RATE)) < LEAST_FRAMES:
        raise SpeechError(f"the text takes only {timed.seconds:.2f} s", hint="a fifth of a second is needed")
    mel, pitch = read_features(timed, voice, encoder, number, front.voices.index(chosen))
    if not np.isfinite(mel).all():
        raise CheckpointError("the text encoder gives values that are no numbers", hint="train it again: train-text")
    made = inversion.sound_of(mel, pitch, round(timed.seconds * WORK_RATE), seed=seed)
    phones = _phones(speech.phones, WORK_RATE / speech.sound.rate, len(made))
    return ReadText(made.with_samples(levelled(made.samples, WORK_RATE)), phones, speech.info)


@torch.inference_mode()
def read_features(
    timed: TimedPhones, voice: VoiceModel, encoder: TextModel, number: int, engine_voice: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mel (T, 80) and pitch (T,), NaN where not voiced, of phones with times in the voice of an identity's number."""
    count = FRAMING.count(round(timed.seconds * WORK_RATE))
    frames = count + count % 2
    places, position = (torch.from_numpy(each)[None] for each in laid_out(timed, frames // 2))
    symbols = torch.from_numpy(symbols_of(timed, encoder.facts.inventory))[None]
    made = encoder.encoder.eval()(
        symbols, places, position, torch.tensor([engine_voice]), torch.ones(1, frames // 2, dtype=torch.bool)
    )
    span = voice.facts.identities[number].pitch
    heard = made.pitch[0].numpy() * span.deviation + span.mean
    tone = np.clip(heard, np.log(_LOW_HZ), np.log(_HIGH_HZ)).astype(np.float32)
    pitch = np.where(made.voiced[0].numpy() > 0, tone, np.nan).astype(np.float32)
    mel = voice.swapper.eval().decode(
        made.code, torch.from_numpy(np.nan_to_num(pitch, nan=0.0))[None], made.energy, torch.tensor([number])
    )
    return mel[0, :count].numpy(), pitch[:count]


def reader_facts(
    made: ReadText, voice: VoiceModel, encoder: TextModel, identity: str, inversion: Inversion = GRIFFIN_LIM
) -> dict[str, str | int | None]:
    """What the signed record says of who read a text, and by what."""
    known = voice.facts.identities[voice.number_of(identity)]
    return {
        **target_facts(voice, known),
        "rights": known.rights,
        "text_weights_sha256": encoder.weights_sha256,
        "phones_by": f"{made.info.name} {made.info.version}, {made.info.voice}",
        **inversion.facts(),
    }


def _phones(phones: tuple[Phone, ...], ratio: float, count: int) -> tuple[Phone, ...]:
    """Phones at another rate of samples."""
    return tuple(
        Phone(each.symbol, min(count, round(each.first * ratio)), min(count, round(each.stop * ratio)))
        for each in phones
    )
