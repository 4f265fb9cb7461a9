"""Rendering of one person: project, rasterise at twice the resolution, shade, composite hair, downsample."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from shared.actors.body import Body, Mesh, Pose, Posed
from shared.actors.landmarks import Anchors
from shared.actors.lattice import unit
from shared.actors.paint import TILES, Atlas
from shared.actors.raster import Fragments, rasterise
from shared.actors.shade import (
    Lights,
    bytes_to_linear,
    cast_shadow,
    dot,
    lit_share,
    look_up,
    shade_hair,
    shade_solid,
)

SUPERSAMPLING = 2
_DISTANCE = 1150.0  # millimetres from the camera to the plane of the eyes
_EYE_LEFT, _EYE_TOP, _EYE_SIZE, _ = TILES["eye"]


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera in front of the actor.

    Convention:
        scale: image heights per millimetre at the eyes, so that a camera is independent of resolution
        eye_line: position of the eye plane's origin, as a share of the image from its top; middle: from its left
    """

    scale: float = 0.80 / 256
    eye_line: float = 0.46
    middle: float = 0.5

    def project(self, points: np.ndarray, px: int) -> np.ndarray:
        """(..., 3): x and y in pixels (pixel centres at integers) of an image ``px`` high, z depth unchanged."""
        factor = (self.scale * px * _DISTANCE) / (_DISTANCE - points[..., 2])
        out = np.empty(points.shape, dtype=np.float32)
        out[..., 0] = self.middle * px - 0.5 + points[..., 0] * factor
        out[..., 1] = self.eye_line * px - 0.5 - points[..., 1] * factor
        out[..., 2] = points[..., 2]
        return out


@dataclass(frozen=True, eq=False)
class RenderedImage:
    """Convention: light (H, W, 3) float32 linear, times the matte; matte (H, W) float32; landmarks (68, 2) float32."""

    light: np.ndarray
    matte: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True, eq=False)
class Wardrobe:
    """Textures and landmark positions of a person for the renderer."""

    atlas: Atlas
    hair: np.ndarray
    anchors: Anchors


def render(
    body: Body, wardrobe: Wardrobe, posed: Posed, pose: Pose, lights: Lights, camera: Camera, px: int
) -> RenderedImage:
    """Renders the person without background."""
    fine = px * SUPERSAMPLING
    shadow = cast_shadow(np.concatenate([posed.solid.points, posed.hair.points]), lights.key)
    image, matte, depth = _render_solid(body, wardrobe.atlas, posed.solid, lights, camera, fine, shadow)
    _lay_hair(body, wardrobe.hair, posed.hair, lights, camera, fine, shadow, (image, matte, depth))
    right = pose.matrix() @ np.array([1.0, 0.0, 0.0])
    outwards = np.array([right[0], -right[1]])
    marks = wardrobe.anchors.on(posed.skin, camera.project(posed.skin, px)[..., :2].astype(np.float64), outwards)
    small = cv2.resize(np.dstack([image, matte]).astype(np.float32), (px, px), interpolation=cv2.INTER_AREA)
    return RenderedImage(np.ascontiguousarray(small[..., :3]), np.ascontiguousarray(small[..., 3]), marks)


def _attributes(
    mesh: Mesh, uv: np.ndarray, fragments: Fragments, triangles: np.ndarray, shadow: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(N, 10): position, normal, uv, light, share of the key light."""
    lit = lit_share(mesh.points, *shadow)
    packed = np.concatenate([mesh.points, mesh.normals, uv, mesh.light[:, None], lit[:, None]], axis=1)
    return fragments.interpolate(triangles, packed)


def _toward_eye(positions: np.ndarray) -> np.ndarray:
    return unit(np.array([0.0, 0.0, _DISTANCE], dtype=np.float32) - positions)


def _render_solid(
    body: Body,
    atlas: Atlas,
    mesh: Mesh,
    lights: Lights,
    camera: Camera,
    fine: int,
    shadow: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    seen = rasterise(camera.project(mesh.points, fine), body.triangles, width=fine, height=fine)
    values = _attributes(mesh, body.uv, seen, body.triangles, shadow)
    positions, uv = values[:, :3], values[:, 6:8]
    toward_eye = _toward_eye(positions)
    normals = unit(values[:, 3:6])
    normals *= np.where(dot(normals, toward_eye) < 0, np.float32(-1), np.float32(1))[:, None]
    texels = look_up(atlas.colour, uv, atlas.size)
    gloss = look_up(atlas.gloss, uv, atlas.size).astype(np.float32) * np.float32(1 / 170)
    lit = values[:, 9]
    light = texels[:, 3].astype(np.float32) * np.float32(1 / 255) * values[:, 8]
    is_eye = (
        (uv[:, 0] > _EYE_LEFT)
        & (uv[:, 0] < _EYE_LEFT + _EYE_SIZE)
        & (uv[:, 1] > _EYE_TOP)
        & (uv[:, 1] < _EYE_TOP + _EYE_SIZE)
    )
    colour = shade_solid(bytes_to_linear(texels[:, :3]), normals, toward_eye, light, gloss, lit, lights, is_eye)
    image = np.zeros((fine * fine, 3), dtype=np.float32)
    image[seen.pixel] = colour
    matte = np.zeros(fine * fine, dtype=np.float32)
    matte[seen.pixel] = 1.0
    depth = np.full(fine * fine, -1e6, dtype=np.float32)
    depth[seen.pixel] = seen.depth
    return image.reshape(fine, fine, 3), matte.reshape(fine, fine), depth.reshape(fine, fine)


def _lay_hair(
    body: Body, atlas: np.ndarray, mesh: Mesh, lights: Lights, camera: Camera, fine: int,
    shadow: tuple[np.ndarray, np.ndarray], under: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:  # fmt: skip
    """Composites the transparent parts over the image, where they are nearer, in place."""
    image, matte, depth = under
    triangles = body.hair_triangles
    seen = rasterise(
        camera.project(mesh.points, fine), triangles, width=fine, height=fine, two_sided=body.hair_two_sided
    )
    visible = seen.depth > depth.reshape(-1)[seen.pixel]
    seen = Fragments(seen.pixel[visible], seen.triangle[visible], seen.weights[visible], seen.depth[visible])
    values = _attributes(mesh, body.hair_uv, seen, triangles, shadow)
    positions, uv = values[:, :3], values[:, 6:8]
    texels = look_up(atlas, uv, atlas.shape[0])
    toward_eye = _toward_eye(positions)
    normals = unit(values[:, 3:6])
    normals *= np.where(dot(normals, toward_eye) < 0, np.float32(-1), np.float32(1))[:, None]
    down = np.array([0.0, -1.0, 0.0], dtype=np.float32)
    along = unit(down - normals * normals[:, 1:2] * -1.0)
    lit = values[:, 9]
    colour = shade_hair(
        bytes_to_linear(texels[:, :3]), normals, along, toward_eye, lit, lights, dull=body.look.hair.curl
    )
    cover = (texels[:, 3].astype(np.float32) * np.float32(1 / 255))[:, None]
    flat, flat_matte = image.reshape(-1, 3), matte.reshape(-1)
    flat[seen.pixel] = flat[seen.pixel] * (1 - cover) + colour * cover
    flat_matte[seen.pixel] = flat_matte[seen.pixel] * (1 - cover[:, 0]) + cover[:, 0]
