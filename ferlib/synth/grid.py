"""A raster over the face plane in millimetres, and soft shapes drawn on it.

u runs to the picture's right, v down, the origin lies midway between the pupils.
"""

import cv2
import numpy as np

LEFT, TOP, WIDTH, HEIGHT = -116.0, -138.0, 232.0, 286.0
"""The part of the face plane that is drawn, in mm."""

_SHIFT = 4  # cv2's fixed-point bits: points lie at sixteenths of a pixel


class Grid:
    """Pixels of `scale` per mm over the face plane: `u` (1, w) and `v` (h, 1), float32, in mm."""

    def __init__(self, scale: float):
        self.scale = scale
        self.shape = (round(HEIGHT * scale), round(WIDTH * scale))
        self.u = (LEFT + (np.arange(self.shape[1], dtype=np.float32) + 0.5) / scale)[None, :]
        self.v = (TOP + (np.arange(self.shape[0], dtype=np.float32) + 0.5) / scale)[:, None]

    def points(self, u, v) -> np.ndarray:
        """Points in mm as pixel positions, float (n, 2)."""
        return np.stack([(np.asarray(u) - LEFT) * self.scale, (np.asarray(v) - TOP) * self.scale], -1) - 0.5

    def region(self, points: np.ndarray, pad: float) -> tuple[slice, slice]:
        """The slices of rows and columns around pixel positions, with `pad` mm to spare."""
        pad = pad * self.scale + 2
        x0, y0 = np.floor(points.min(0) - pad).astype(int)
        x1, y1 = np.ceil(points.max(0) + pad).astype(int)
        h, w = self.shape
        return slice(min(max(y0, 0), h - 1), min(max(y1, 1), h)), slice(
            min(max(x0, 0), w - 1), min(max(x1, 1), w)
        )

    def blur(self, layer: np.ndarray, mm: float) -> np.ndarray:
        """A layer blurred by a Gaussian of `mm`."""
        sigma = mm * self.scale
        return cv2.GaussianBlur(layer, (0, 0), sigma) if sigma > 0.25 else layer

    def polygon(self, u, v, soft: float = 0.0):
        """A filled polygon: (region, mask), the mask float32 0..1 with its edge blurred by `soft` mm."""
        return self._paint(u, v, soft, lambda mask, at: cv2.fillPoly(mask, [at], 255, cv2.LINE_AA, _SHIFT))

    def line(self, u, v, width: float, soft: float = 0.0, closed: bool = False):
        """A line `width` mm wide: (region, mask). Thinner than a pixel, it becomes fainter instead."""
        pixels = width * self.scale
        thick = max(1, round(pixels))

        def draw(mask, at):
            cv2.polylines(mask, [at], closed, 255, thick, cv2.LINE_AA, _SHIFT)

        region, mask = self._paint(u, v, soft + width, draw, soft)
        return region, mask * np.float32(min(1.0, pixels / thick))

    def _paint(self, u, v, reach, draw, soft=None):
        soft = reach if soft is None else soft
        points = self.points(u, v)
        region = self.region(points, 3 * reach)
        rows, cols = region
        mask = np.zeros((rows.stop - rows.start, cols.stop - cols.start), np.uint8)
        at = np.round((points - (cols.start, rows.start)) * (1 << _SHIFT)).astype(np.int32)
        draw(mask, at)
        mask = mask.astype(np.float32) * np.float32(1 / 255)
        return region, self.blur(mask, soft)


def bell(x, centre: float, spread: float):
    """A Gaussian of height 1."""
    return np.exp(-0.5 * ((x - centre) / spread) ** 2)


def ramp(x, start: float, stop: float):
    """0 before `start`, 1 after `stop`, smooth between (smoothstep)."""
    t = np.clip((x - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def curve(u, v, n: int = 24):
    """A smooth line through a few points: (u, v), each (n,) (Catmull-Rom spline)."""
    p = np.stack([u, v], -1).astype(np.float64)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, len(p) - 3 - 1e-6, n)
    k, f = t.astype(int), (t % 1)[:, None]
    a, b, c, d = p[k], p[k + 1], p[k + 2], p[k + 3]
    q = 0.5 * (2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - a - 3 * c + d) * f**3)
    return q[:, 0], q[:, 1]


def noise(rng: np.random.Generator, shape: tuple[int, int], cell_x: float, cell_y: float) -> np.ndarray:
    """Smooth noise of variance about 1/2, float32 (h, w), with cells of `cell_x` by `cell_y` pixels."""
    h, w = shape
    small = rng.standard_normal((max(2, int(h / cell_y) + 1), max(2, int(w / cell_x) + 1)), dtype=np.float32)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
