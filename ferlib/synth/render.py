"""One head lit, turned and laid over a picture.

The head is a height map over the face plane with a colour at each point. Its normals give the light (a
Lambert term that reaches a little round the edge, more so for red, as skin does; Blinn's highlight); the
difference to its blurred self gives the shade of hollows; steps towards the light give cast shadows. Turning
is a search for the point of the map that lands on a pixel (parallax mapping with three steps).
"""

import cv2
import numpy as np

from ferlib.synth import features, hair
from ferlib.synth.anatomy import LIGHTS, SKIN_TONES, Face
from ferlib.synth.form import EYE, Pose, creases, head, outline, pose_of, relief
from ferlib.synth.grid import LEFT, TOP, Grid, bell, noise, ramp

AXIS = 62.0
"""The face turns about this height, in mm, so that its box stays where it is."""
BOX_MM = 170.0
"""Side of the face box in mm: about the square that OpenCV's frontal Haar cascade returns."""
BOX_CENTRE = 18.0
"""The v of the box's centre, in mm."""


def _skin(grid: Grid, rng: np.random.Generator, face: Face, pose: Pose) -> np.ndarray:
    """The skin's own colour in linear light, float32 (3, h, w)."""
    u, v, s = grid.u, grid.v, grid.scale
    base = features.linear(SKIN_TONES[face.skin])
    blotch = 0.030 * noise(rng, grid.shape, 14 * s, 14 * s) + 0.022 * noise(rng, grid.shape, 2.2 * s, 2.2 * s)
    blotch += (0.02 + 0.0005 * face.age) * noise(rng, grid.shape, max(1, 1.1 * s), max(1, 1.1 * s))
    both = lambda at, spread: bell(u, -at, spread) + bell(u, at, spread)  # noqa: E731
    red = both(42, 14) * bell(v, 36 - pose.cheek, 14) + 0.9 * bell(u, 0, 11) * bell(v, pose.nose_base - 8, 8)
    red += 0.4 * bell(u, 0, 18) * bell(v, pose.chin - 14, 8)
    dark = (0.36 + 0.015 * face.skin) * both(EYE, 15) * bell(v, -2, 10) + 0.12 * both(EYE - 10, 9) * bell(
        v, 10, 6
    )
    tone = (1 + blotch - dark).astype(np.float32)
    return np.stack([
        base[0] * tone * (1 + 0.02 * red),
        base[1] * tone * (1 - 0.13 * red),
        base[2] * tone * (1 - 0.12 * red),
    ]).astype(np.float32)  # fmt: skip


def _nostrils(grid: Grid, colour: np.ndarray, pose: Pose) -> None:
    t = np.linspace(0, 2 * np.pi, 12)
    for side in (-1, 1):
        at = side * pose.nose_half * 0.42
        u = at + 3.2 * np.cos(t)
        v = pose.nose_base - 1.2 + 1.5 * np.sin(t) - 0.6 * np.cos(t) * side
        region, mask = grid.polygon(u, v, 0.7)
        features.lay(colour, region, mask * 0.85, (0.02, 0.008, 0.006))
        region, mask = grid.line(side * pose.nose_half * np.array([0.95, 1.04, 0.95]),
                                 pose.nose_base + np.array([-9.0, -4.0, 0.5]), 1.2, 0.8)  # fmt: skip
        features.dim(colour, region, mask, 0.4)


def _neck_and_ears(grid: Grid, face: Face, pose: Pose) -> list:
    """Tuples (region, mask, shade of the skin, height in mm)."""
    neck = 47 * face.width * face.jaw
    low_u = np.array([-neck - 2, -neck, -0.6 * neck, 0, 0.6 * neck, neck, neck + 2])
    region, mask = grid.polygon(low_u, [70, 119, 134, 140, 134, 119, 70], 1.5)
    tube = np.sqrt(np.maximum(1 - (grid.u[:, region[1]] / (neck + 14)) ** 2, 0))
    parts = [(region, mask, np.float32(0.9), 30 * tube - 12)]
    edge = float(outline(face, pose, np.array([8.0]))[0])
    t = np.linspace(0, 2 * np.pi, 16)
    reddish = np.array([0.95, 0.8, 0.8], np.float32)[:, None, None]
    for side in (-1, 1):
        u = side * (edge + 2 - 2 * np.sin(t)) + 8 * np.cos(t)
        region, mask = grid.polygon(u, 10 + 27 * np.sin(t), 1.0)
        parts.append((region, mask, reddish, 8.0))
    return parts


def _layers(grid: Grid, rng: np.random.Generator, face: Face, pose: Pose):
    """Colour (3, h, w), height, coverage and gloss of head, neck and hair, all float32."""
    h, w = grid.shape
    colour, height = np.zeros((3, h, w), np.float32), np.full((h, w), -25, np.float32)
    cover, gloss = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)

    def put(region, mask, paint, up):
        part = colour[(slice(None), *region)]
        part += mask * (paint - part)
        height[region] += mask * (up - height[region])
        cover[region] += mask * (1 - cover[region])

    for region, mask, paint, up in hair.behind(grid, rng, face):
        put(region, mask, paint, up)
    skin = _skin(grid, rng, face, pose)
    for region, mask, shade, up in _neck_and_ears(grid, face, pose):
        put(region, mask, skin[(slice(None), *region)] * shade, up)
    form, mask = head(grid, face, pose)
    tone = features.linear(SKIN_TONES[face.skin])
    oily = 0.5 + 0.5 * min(1.0, 2.5 * float(tone.mean()))
    gloss += mask * (0.6 + 0.4 * bell(grid.u, 0, 14)) * np.float32(oily)
    everywhere = (slice(None), slice(None))
    hair.beard(grid, skin, rng, face, pose)
    fold = creases(grid, face, pose)
    features.dim(skin, everywhere, np.minimum(fold, 4.0), 0.13)
    shine = np.zeros((h, w), np.float32)
    lips = features.mouth(grid, skin, shine, gloss, face, pose, tone)
    _nostrils(grid, skin, pose)
    features.eyes(grid, skin, shine, gloss, face, pose, tone)
    features.brows(grid, skin, gloss, rng, face, pose)
    form = form + relief(grid, face, pose) * ramp(form, 5, 45) + lips - 1.8 * fold
    put(everywhere, mask, skin, form)
    for region, mask, paint, up in hair.before(grid, rng, face, pose):
        skull = np.maximum(height[region], 72 * np.sqrt(np.maximum(
            1 - (grid.u[:, region[1]] / 92) ** 2 - ((grid.v[region[0]] + 30) / 108) ** 2, 0.0)))  # fmt: skip
        put(region, mask, paint, skull + up)
        gloss[region] *= 1 - mask
        shine[region] *= 1 - mask
    return colour, height, cover, gloss, shine


def _turn(face: Face) -> np.ndarray:
    """The head's rotation by yaw and pitch, (3, 3), from head to camera."""
    a, b = np.radians(face.yaw), np.radians(face.pitch)
    yaw = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    pitch = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    return pitch @ yaw


def _lit(grid: Grid, face: Face, colour, height, gloss, shine) -> np.ndarray:
    """The colour under the face's light, linear, float32 (3, h, w)."""
    light = LIGHTS[face.light]
    aim = np.array(light.direction) / np.linalg.norm(light.direction)
    aim = (_turn(face).T @ aim).astype(np.float32)
    half = aim + _turn(face).T[:, 2].astype(np.float32)
    half /= np.linalg.norm(half)
    smooth = grid.blur(height, 0.7)
    nx = -cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=grid.scale / 8)
    ny = -cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=grid.scale / 8)
    inverse = 1 / np.sqrt(nx * nx + ny * ny + 1)
    facing = (nx * aim[0] + ny * aim[1] + aim[2]) * inverse
    wide, near = grid.blur(height, 11.0), grid.blur(height, 3.5)
    hollow = np.clip(1 - 0.02 * np.maximum(wide - height, 0) - 0.10 * np.maximum(near - height, 0), 0.25, 1)
    shadow = _cast(grid, near, aim) * light.hard
    sky = 0.82 - 0.18 * ny * inverse
    ambient = 0.8 * light.ambient * sky * hollow
    key = (1 - light.ambient) * 1.45 * (1 - shadow) * (0.35 + 0.65 * hollow)
    lit = np.empty_like(colour)
    for k, wrap in enumerate((0.30, 0.20, 0.16)):
        diffuse = np.maximum(facing + wrap, 0) * np.float32(1 / (1 + wrap))
        lit[k] = colour[k] * (ambient + key * diffuse * np.float32(light.colour[k]))
    mirror = np.maximum((nx * half[0] + ny * half[1] + half[2]) * inverse, 0)
    mirror = mirror * mirror
    mirror = mirror * mirror
    mirror = mirror * mirror  # to the 8th
    glare = (mirror * mirror * 0.09 + mirror * mirror * mirror * mirror * 0.08) * gloss * key + shine * 0.7
    return lit + glare


def _cast(grid: Grid, height: np.ndarray, aim: np.ndarray) -> np.ndarray:
    """Where the head shades itself, 0..1: points on the way to the light that stand higher than the ray."""
    small = cv2.resize(height, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    slope = float(aim[2]) / max(float(np.hypot(aim[0], aim[1])), 0.05)
    dark = np.zeros_like(small)
    if slope > 6:
        return np.zeros_like(height)
    way = aim[:2] / max(float(np.hypot(aim[0], aim[1])), 1e-6)
    for step in (5.0, 10.0, 16.0, 23.0):
        dx, dy = way * step * grid.scale * 0.5
        moved = cv2.warpAffine(small, np.float32([[1, 0, -dx], [0, 1, -dy]]), small.shape[::-1],
                               borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
        np.maximum(dark, (moved - small - step * slope) * np.float32(0.12), out=dark)
    dark = np.minimum(dark, 1)
    return cv2.resize(cv2.GaussianBlur(dark, (0, 0), max(0.6, grid.scale)), height.shape[::-1])


def paint_head(canvas: np.ndarray, face: Face, centre: tuple[float, float], box: float) -> None:
    """Lay a head over `canvas`, float32 (h, w, 3) linear RGB, its face box `box` pixels wide about `centre`.

    What lies outside the canvas is cut off. Random parts come from the face's seed.
    """
    rng = np.random.default_rng(face.seed)
    per_mm = box / BOX_MM
    grid = Grid(float(np.clip(per_mm * 1.25, 0.42, 2.5)))
    pose = pose_of(face)
    colour, height, cover, gloss, shine = _layers(grid, rng, face, pose)
    lit = _lit(grid, face, colour, height, gloss, shine)
    hair.glasses(grid, lit, face)
    _project(canvas, grid, face, lit, cover, grid.blur(height, 3.0), centre, per_mm)


def _project(canvas, grid, face, lit, cover, height, centre, per_mm):
    """Turn, scale and lay the lit head over the canvas."""
    reach = 172 * per_mm
    x0, x1 = max(0, int(centre[0] - reach)), min(canvas.shape[1], int(centre[0] + reach) + 1)
    y0, y1 = max(0, int(centre[1] - reach)), min(canvas.shape[0], int(centre[1] + reach) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    a = np.radians(face.roll)
    x = ((np.arange(x0, x1, dtype=np.float32) + 0.5 - centre[0]) / per_mm)[None, :]
    y = ((np.arange(y0, y1, dtype=np.float32) + 0.5 - centre[1]) / per_mm)[:, None]
    u = (np.cos(a) * x + np.sin(a) * y).astype(np.float32)
    v = (-np.sin(a) * x + np.cos(a) * y + BOX_CENTRE).astype(np.float32)
    turn = _turn(face)
    map_u, map_v = u, v
    inverse = np.linalg.inv(turn[:2, :2]).astype(np.float32)
    shift = turn[:2, 2].astype(np.float32)
    depth = np.zeros_like(u)
    pixel = np.float32(grid.scale)
    for _ in range(3):
        du, dv = u - shift[0] * depth, v - shift[1] * depth
        map_u, map_v = inverse[0, 0] * du + inverse[0, 1] * dv, inverse[1, 0] * du + inverse[1, 1] * dv
        map_x, map_y = (map_u - LEFT) * pixel - 0.5, (map_v - TOP) * pixel - 0.5
        depth = cv2.remap(height, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) - AXIS
    planes = cv2.merge([lit[0] * cover, lit[1] * cover, lit[2] * cover, cover])
    head_ = cv2.remap(planes, map_x, map_y, cv2.INTER_LINEAR)
    part = canvas[y0:y1, x0:x1]
    part *= 1 - head_[:, :, 3:]
    part += head_[:, :, :3]
