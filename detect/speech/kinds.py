"""The kinds of detectors of speech, by explicit import."""

from __future__ import annotations

from detect.speech import backbone, gmm, raw, spectral
from detect.speech.contract import SPEECH_DETECTORS

__all__ = ["SPEECH_DETECTORS", "backbone", "gmm", "raw", "spectral"]
