"""Procedural actors, generated from a seed, who talk, blink and turn, with exact landmarks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from shared.actors.body import Body, Pose
from shared.actors.expression import Expression, Face
from shared.actors.hair import paint_hair_atlas
from shared.actors.head import Head
from shared.actors.identity import Traits, cast_seeds, sample_traits
from shared.actors.landmarks import Anchors
from shared.actors.motion import Liveliness, Track, perform_track
from shared.actors.paint import paint_atlas
from shared.actors.render import Wardrobe, render
from shared.actors.scene import Scene, develop, sample_scene

MAX_PX = 2048
MAX_FRAMES = 200_000
_WORKERS = 2


@dataclass(frozen=True, eq=False)
class ActorFrame:
    """One frame of a performance.

    Convention:
        image: (H, W, 3) uint8, RGB
        landmarks: (68, 2) float32, (x, y), pixel centres, iBUG order; points of the mesh, exact to float32
        matte: (H, W) float32 in [0, 1], coverage of each pixel by the person
        identity: the actor's name
        expression, pose: those rendered
    """

    image: np.ndarray
    landmarks: np.ndarray
    matte: np.ndarray
    identity: str
    expression: Expression
    pose: Pose


@dataclass(frozen=True, eq=False)
class Actor:
    """A procedural person; equal seeds give equal people.

    Attributes:
        seed: seed of the traits.
        traits: form and look.
    """

    seed: int
    traits: Traits

    @classmethod
    def from_seed(cls, seed: int) -> Actor:
        """The person of ``seed``.

        Raises:
            ValueError: a negative seed.
        """
        return cls(seed, sample_traits(seed))

    @property
    def name(self) -> str:
        """``actor-007`` for seed 7."""
        return f"actor-{self.seed:03d}"


@dataclass(frozen=True, eq=False)
class _Dressed:
    body: Body
    wardrobe: Wardrobe


@lru_cache(maxsize=12)
def _dress(seed: int, traits: Traits, texels: int) -> _Dressed:
    """Meshes and textures, cached for the actors used last, since painting them takes about a second."""
    head = Head.build(traits.shape)
    face = Face.build(head)
    body = Body(face, traits.look, np.random.default_rng([seed, 5]))
    wardrobe = Wardrobe(
        paint_atlas(head, traits.look, seed, texels),
        paint_hair_atlas(head, traits.look, seed, max(texels // 2, 256)),
        Anchors.build(head, traits.look, face.rest),
    )
    return _Dressed(body, wardrobe)


def cast(count: int, seed: int) -> list[Actor]:
    """``count`` actors who differ clearly in form, skin tone and hair.

    Raises:
        ValueError: fewer than one, or a negative seed.
    """
    return [Actor.from_seed(chosen) for chosen in cast_seeds(count, seed)]


def perform(
    actor: Actor,
    *,
    frames: int,
    px: int,
    frame_rate: Fraction = Fraction(25),
    seed: int,
    liveliness: Liveliness | None = None,
) -> Iterator[ActorFrame]:
    """Frames of the actor talking, in a scene sampled from ``seed``. The same arguments give the same bytes.

    Args:
        actor: the person.
        frames: number of frames.
        px: height and width of the frames.
        frame_rate: frames per second.
        seed: of the performance: motion, light, background, camera, noise.
        liveliness: amount of motion.

    Raises:
        ValueError: a size or number of frames out of range.
    """
    if not 32 <= px <= MAX_PX or not 0 <= frames <= MAX_FRAMES or frame_rate <= 0:
        raise ValueError(
            f"need 32 <= px <= {MAX_PX}, 0 <= frames <= {MAX_FRAMES}, a rate; got {px=}, {frames=}, {frame_rate}"
        )
    track = plan_track(actor, frames=frames, frame_rate=frame_rate, seed=seed, liveliness=liveliness)
    scene = sample_scene(np.random.default_rng([actor.seed, seed, 2]), px, actor.traits.look.tone)
    dressed = _dress(actor.seed, actor.traits, 512 if px <= 300 else 1024)

    def shoot(index: int) -> ActorFrame:
        noise = np.random.default_rng([actor.seed, seed, 3, index])
        return _frame(actor, dressed, scene, track.expressions[index], track.poses[index], px, noise)

    # Each frame has its own generator, so the result does not depend on the order of threads.
    with ThreadPoolExecutor(_WORKERS) as pool:
        ahead: deque[Future[ActorFrame]] = deque()
        for index in range(frames):
            ahead.append(pool.submit(shoot, index))
            if len(ahead) > _WORKERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def plan_track(
    actor: Actor, *, frames: int, frame_rate: Fraction, seed: int, liveliness: Liveliness | None = None
) -> Track:
    """The motion of the actor in :func:`perform` with the same arguments."""
    return perform_track(frames, frame_rate, np.random.default_rng([actor.seed, seed, 1]), liveliness)


def portrait(
    actor: Actor, *, px: int, seed: int = 0, expression: Expression | None = None, pose: Pose | None = None
) -> ActorFrame:
    """One frame with a given expression and pose, in the scene of ``seed``."""
    scene = sample_scene(np.random.default_rng([actor.seed, seed, 2]), px, actor.traits.look.tone)
    dressed = _dress(actor.seed, actor.traits, 512 if px <= 300 else 1024)
    noise = np.random.default_rng([actor.seed, seed, 3, 0])
    return _frame(actor, dressed, scene, expression or Expression(), pose or Pose(), px, noise)


def _frame(
    actor: Actor,
    dressed: _Dressed,
    scene: Scene,
    expression: Expression,
    pose: Pose,
    px: int,
    noise: np.random.Generator,
) -> ActorFrame:
    posed = dressed.body.posed(expression, pose)
    picture = render(dressed.body, dressed.wardrobe, posed, pose, scene.lights, scene.camera, px)
    light = picture.light + (1 - picture.matte[..., None]) * scene.backdrop
    image = develop(light, scene, noise)
    matte = np.clip(picture.matte, 0.0, 1.0)
    return ActorFrame(image, picture.landmarks, matte, actor.name, expression, pose)
