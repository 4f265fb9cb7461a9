"""The trained models of a set of speech, opened once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forge.speaking.building.spec import SpeechSetSpec
from forge.speaking.conversion.checkpoint import VoiceModel, load_voice_model
from forge.speaking.targets import CONVERSION, need_targets
from shared.types import Split


@dataclass(frozen=True, eq=False)
class SetModels:
    """The models of a set.

    Attributes:
        converter: voice model that converts utterances, None without one.
    """

    converter: VoiceModel | None = None

    @classmethod
    def of(cls, spec: SpeechSetSpec) -> SetModels:
        """Those that a set asks for.

        Raises:
            CheckpointError: there is none in a folder, or it is damaged.
        """
        return cls(None if spec.model is None else load_voice_model(spec.model))

    def need_targets(self, splits: Mapping[str, Split]) -> None:
        """Finds voices for every speaker of a set, before anything is written.

        Raises:
            UsageError: there is none for one of them.
        """
        if self.converter is not None:
            need_targets(self.converter, splits)

    def made_with(self) -> tuple[str, ...]:
        """What each is called, with the start of the SHA-256 of its weights."""
        return () if self.converter is None else (f"{CONVERSION} {self.converter.weights_sha256[:16]}",)
