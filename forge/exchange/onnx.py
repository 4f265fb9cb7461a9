"""Exports swappers as ONNX files that say what they draw, for whom, and how near they come to the swapper."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.checkpoint import SwapperCard, digest_of, load_swapper, read_card
from forge.models.contract import Swapper, SwapSpec
from shared import __version__
from shared.actors import ActorFrame, cast, portrait
from shared.config import to_mapping
from shared.errors import CheckpointError, UsageError
from shared.exchange.onnx import OPSET, describe_network, need_exportable, open_session, write_network
from shared.faces.align import align
from shared.faces.boxes import box_around
from shared.provenance.types import COMPOSITE_WITH_MODEL
from shared.storage import replacing
from shared.types import Face

CARD_KEY = "assay.swapper"
"""Key of the metadata with the swapper's card, as JSON."""
PARITY_KEY = "assay.parity"
"""Key of the metadata with the measured difference from the swapper, as JSON."""
SYNTHETIC_KEY = "assay.synthetic"
"""Key of the metadata with the sentence that the network makes synthetic faces."""
TOLERANCE = 1e-3
"""Maximum difference of a value in [0, 1] between a valid export and the swapper: a quarter of a grey level."""

_INPUT = "face"
_TRACED, _RANDOM = 2, 5
_ACTORS, _ACTOR_PX = 3, 192
_MOST_IDENTITIES = 64


@dataclass(frozen=True)
class SwapperParity:
    """Largest differences of any value in [0, 1] between an export and its swapper.

    Attributes:
        random: on pictures of random pixels.
        actors: on aligned faces of procedural actors.
        faces: how many pictures were compared, of both kinds.
    """

    random: float
    actors: float
    faces: int

    @property
    def largest(self) -> float:
        """The larger of the two; not a number if one of them is not."""
        return float(np.max([self.random, self.actors]))


@dataclass(frozen=True)
class ExportedSwapper:
    """Result of an export.

    Attributes:
        path: the file.
        model: the swapper's family.
        identities: whose faces it draws.
        opset: version of the operators.
        inputs: shape of the input, ``n`` for the batch.
        outputs: names of the outputs.
        parity: how near it comes to the swapper.
    """

    path: Path
    model: str
    identities: tuple[str, ...]
    opset: int
    inputs: tuple[int | str, ...]
    outputs: tuple[str, ...]
    parity: SwapperParity


class _Network(nn.Module):
    """A swapper that returns a tuple: the picture of each identity, and its mask if there is one, all in [0, 1]."""

    def __init__(self, swapper: Swapper, identities: Sequence[str]) -> None:
        super().__init__()
        self.swapper = swapper
        self.identities = tuple(identities)
        self.eval()

    @override
    def forward(self, faces: Tensor) -> tuple[Tensor, ...]:
        latent = self.swapper.encode(faces)
        found: list[Tensor] = []
        for identity in self.identities:
            swap = self.swapper.decode(latent, identity)
            found += [part.clamp(0, 1) for part in (swap.rgb, swap.mask) if part is not None]
        return tuple(found)


def export_swapper(path: Path, out: Path, *, identities: Sequence[str] = (), opset: int = OPSET) -> ExportedSwapper:
    """Writes the swapper of a run or swapper folder as the ONNX file ``out``, and compares the two.

    Input ``face``: (n, 3, S, S) RGB in [0, 1], aligned as the card says, any batch size. Outputs for each of the
    ``identities``, by default all: ``rgb_NAME`` (n, 3, S, S) and ``mask_NAME`` (n, 1, S, S), in [0, 1]. The swapper of
    a population draws one face, that of its first identity. A morph is not exported: every output is one identity.

    The metadata hold the card, a sentence that the pictures are synthetic, IPTC's term for them, and the parity.

    Raises:
        CheckpointError: no swapper there, it has no ONNX form, or the file gives other pictures.
        UsageError: an unknown identity or too many, a missing package, an opset outside 17 to 20, or ``out`` is another
            kind of file.
        StorageError: writing failed.
    """
    need_exportable(out, opset)
    card = read_card(path)
    chosen = _chosen(card, identities, path)
    network = _Network(load_swapper(path), chosen)
    spec = network.swapper.spec
    outputs = tuple(f"{kind}_{one}" for one in chosen for kind in (("rgb", "mask") if spec.has_mask else ("rgb",)))
    example = _random_faces(spec, _TRACED)
    with replacing(out) as draft:
        write_network(network, example, draft, input_name=_INPUT, outputs=outputs, opset=opset, what=card.model)
        parity = _parity(network, draft)
        if not parity.largest <= TOLERANCE:
            raise CheckpointError(
                f"the ONNX network gives values up to {parity.largest:.2g} away from those of {path}",
                hint="try another --opset; this family may not be exportable",
            )
        describe_network(draft, _metadata(card, chosen, parity), _text(card, chosen))
    shape = ("n", 3, spec.input_px, spec.input_px)
    return ExportedSwapper(out, card.model, chosen, opset, shape, outputs, parity)


def _chosen(card: SwapperCard, identities: Sequence[str], path: Path) -> tuple[str, ...]:
    known = card.identities[:1] if card.population else card.identities
    chosen = tuple(dict.fromkeys(identities)) or known
    unknown = [one for one in chosen if one not in card.identities]
    if unknown:
        raise UsageError(
            f"{path} knows no identity {unknown[0]!r}", hint=f"it knows {', '.join(sorted(card.identities))}"
        )
    if len(chosen) > _MOST_IDENTITIES:
        raise UsageError(
            f"{path} knows {len(chosen)} identities; a file holds at most {_MOST_IDENTITIES}",
            hint="choose some: --identity",
        )
    return chosen


def _metadata(card: SwapperCard, chosen: Sequence[str], parity: SwapperParity) -> dict[str, str]:
    values = {
        "tolerance": TOLERANCE,
        **{name: float(f"{value:.3g}") for name, value in dataclasses.asdict(parity).items()},
    }
    return {
        SYNTHETIC_KEY: _synthetic(chosen),
        "assay.digital_source_type": COMPOSITE_WITH_MODEL,
        "assay.identities": json.dumps(list(chosen)),
        CARD_KEY: json.dumps(to_mapping(card), sort_keys=True),
        "assay.swapper_digest": digest_of(card),
        PARITY_KEY: json.dumps(values, sort_keys=True),
        "assay.version": __version__,
    }


def _synthetic(chosen: Sequence[str]) -> str:
    return f"This network makes synthetic faces, of {', '.join(chosen)}. Label every picture made with it as synthetic."


def _text(card: SwapperCard, chosen: Sequence[str]) -> str:
    sides = f"{card.input_px}, {card.input_px}"
    return (
        f"{_synthetic(chosen)} Face swapper {card.model} of Assay. "
        f"Input {_INPUT}: (n, 3, {sides}) RGB in [0, 1], {card.framing} framing. "
        f"Outputs rgb_NAME and mask_NAME, {card.output_px} px, in [0, 1]. "
        f"Facesets and their rights are in the metadata under {CARD_KEY}."
    )


def _parity(network: _Network, path: Path) -> SwapperParity:
    session = open_session(path)
    spec = network.swapper.spec
    random, actors = _random_faces(spec, _RANDOM), _actor_faces(spec)

    def apart(faces: Tensor) -> float:
        found = session.run(None, {_INPUT: faces.numpy()})
        with torch.inference_mode():
            expected = network(faces)
        return float(np.max([np.abs(one - other.numpy()).max() for one, other in zip(found, expected, strict=True)]))

    # Batches of one and of several, neither of the traced size.
    return SwapperParity(float(np.max([apart(random), apart(random[:1])])), apart(actors), len(random) + len(actors))


def _random_faces(spec: SwapSpec, count: int) -> Tensor:
    """(B, 3, S, S) of random pixels; the same for equal counts."""
    return torch.rand(count, 3, spec.input_px, spec.input_px, generator=torch.Generator().manual_seed(count))


def _actor_faces(spec: SwapSpec) -> Tensor:
    """(B, 3, S, S) aligned faces of procedural actors, in [0, 1]."""
    crops: list[np.ndarray] = []
    for taken in _portraits():
        face = Face(box_around(taken.landmarks), taken.landmarks, 1.0)
        crops.append(align(taken.image, face, px=spec.input_px, framing=spec.framing, frame=0).crop)
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255


@lru_cache(maxsize=1)
def _portraits() -> list[ActorFrame]:
    return [portrait(actor, px=_ACTOR_PX, seed=seed) for seed, actor in enumerate(cast(_ACTORS, 11))]
