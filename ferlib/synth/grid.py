"""A raster over the face plane in millimetres, and soft shapes on it.

u is to the right of the picture, v down; the origin is midway between the pupils.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

LEFT, TOP, WIDTH, HEIGHT = -116.0, -138.0, 232.0, 286.0
"""The part of the face plane that is drawn, in mm."""

_SHIFT = 4  # cv2's fixed-point bits: points are rounded to sixteenths of a pixel

Numbers = np.ndarray | Sequence[float]


class Shape(NamedTuple):
    """A soft shape on a grid.

    Attributes:
        region: The slices of rows and columns that hold the shape.
        mask: Coverage of the region's pixels, 0 to 1, (h, w).
    """

    region: tuple[slice, slice]
    mask: np.ndarray

    def times(self, factor: np.ndarray | float) -> "Shape":
        """Weight the coverage.

        Args:
            factor: Factors, to be broadcast to (h, w).

        Returns:
            The same region with the product as its mask.
        """
        return Shape(self.region, self.mask * factor)

    def lay(self, planes: np.ndarray, paint: Numbers, opacity: float | np.ndarray = 1.0) -> None:
        """Lay paint over colour planes where the shape is.

        Args:
            planes: Linear light of the grid, float32 (3, h, w); it is changed.
            paint: The colour: three numbers in linear light, 0 to 1, or an array (3, h, w) over the region.
            opacity: Factor for the mask, 0 to 1.
        """
        paint = np.asarray(paint)
        if paint.ndim == 1:
            paint = paint.astype(np.float32)[:, None, None]
        part = planes[(slice(None), *self.region)]
        part += self.mask * opacity * (paint - part)

    def dim(self, planes: np.ndarray, share: float) -> None:
        """Darken colour planes where the shape is.

        Args:
            planes: Linear light of the grid, float32 (3, h, w); it is changed.
            share: How much of the light is lost under the full mask, 0 to 1.
        """
        planes[(slice(None), *self.region)] *= 1 - self.mask * np.float32(share)


class Grid:
    """The pixels over the face plane.

    Args:
        scale: Pixels per mm.

    Attributes:
        scale: Pixels per mm.
        shape: (rows, columns).
        u: Positions of the columns in mm, float32 (1, w).
        v: Positions of the rows in mm, float32 (h, 1).
    """

    def __init__(self, scale: float):
        self.scale = scale
        self.shape = (round(HEIGHT * scale), round(WIDTH * scale))
        self.u = (LEFT + (np.arange(self.shape[1], dtype=np.float32) + 0.5) / scale)[None, :]
        self.v = (TOP + (np.arange(self.shape[0], dtype=np.float32) + 0.5) / scale)[:, None]

    def at(self, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the pixels of a shape.

        Args:
            shape: A shape on this grid.

        Returns:
            u (1, w) and v (h, 1) of the shape's region, in mm.
        """
        rows, columns = shape.region
        return self.u[:, columns], self.v[rows]

    def blur(self, layer: np.ndarray, mm: float) -> np.ndarray:
        """Blur a layer with a Gaussian.

        Args:
            layer: float32 (h, w).
            mm: Standard deviation in mm.

        Returns:
            The blurred layer; the layer itself if the deviation is below a quarter of a pixel.
        """
        sigma = mm * self.scale
        return cv2.GaussianBlur(layer, (0, 0), sigma) if sigma > 0.25 else layer

    def polygon(self, u: Numbers, v: Numbers, soft: float) -> Shape:
        """Fill a polygon.

        Args:
            u: Positions of the corners in mm, (n,).
            v: As `u`.
            soft: Blur of the edge in mm.

        Returns:
            The shape.
        """
        return self._draw(
            u, v, soft, soft, lambda mask, at: cv2.fillPoly(mask, [at], 255, cv2.LINE_AA, _SHIFT)
        )

    def band(self, u: np.ndarray, top: np.ndarray, low: np.ndarray, soft: float) -> Shape:
        """Fill the area between two lines.

        Args:
            u: Positions of the points of both lines in mm, (n,).
            top: v of the upper line in mm, (n,).
            low: v of the lower line in mm, (n,).
            soft: Blur of the edge in mm.

        Returns:
            The shape.
        """
        return self.polygon(np.r_[u, u[::-1]], np.r_[top, low[::-1]], soft)

    def line(self, u: Numbers, v: Numbers, width: float, soft: float, closed: bool = False) -> Shape:
        """Draw a line; one that is thinner than a pixel becomes fainter instead.

        Args:
            u: Positions of the points in mm, (n,).
            v: As `u`.
            width: Width in mm.
            soft: Blur of the edge in mm.
            closed: Whether the last point is joined to the first.

        Returns:
            The shape.
        """
        pixels = width * self.scale
        thick = max(1, round(pixels))
        line = self._draw(
            u, v, soft, soft + width,
            lambda mask, at: cv2.polylines(mask, [at], closed, 255, thick, cv2.LINE_AA, _SHIFT),
        )  # fmt: skip
        return line.times(float(np.float32(min(1.0, pixels / thick))))

    def _draw(self, u: Numbers, v: Numbers, soft: float, reach: float, draw: Callable) -> Shape:
        """Draw on a mask that reaches three times `reach` mm beyond the points."""
        points = np.stack([(np.asarray(u) - LEFT) * self.scale, (np.asarray(v) - TOP) * self.scale], -1) - 0.5
        pad = 3 * reach * self.scale + 2
        x0, y0 = np.floor(points.min(0) - pad).astype(int)
        x1, y1 = np.ceil(points.max(0) + pad).astype(int)
        h, w = self.shape
        rows = slice(min(max(y0, 0), h - 1), min(max(y1, 1), h))
        columns = slice(min(max(x0, 0), w - 1), min(max(x1, 1), w))
        mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        draw(mask, np.round((points - (columns.start, rows.start)) * (1 << _SHIFT)).astype(np.int32))
        mask = mask.astype(np.float32) * np.float32(1 / 255)
        return Shape((rows, columns), self.blur(mask, soft))


def bell(x: np.ndarray | float, centre: float, spread: float) -> np.ndarray:
    """Compute a Gaussian of height 1.

    Args:
        x: Positions.
        centre: Position of the peak.
        spread: Standard deviation.

    Returns:
        Values 0 to 1, in the shape of `x`.
    """
    return np.exp(-0.5 * ((x - centre) / spread) ** 2)


def bells(x: np.ndarray, centre: float, spread: float) -> np.ndarray:
    """Compute the sum of two Gaussians that mirror each other, such as one per cheek.

    Args:
        x: Positions.
        centre: Distance of the peaks from 0.
        spread: Standard deviation.

    Returns:
        Values in the shape of `x`.
    """
    return bell(x, -centre, spread) + bell(x, centre, spread)


def ramp(x: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Compute a smooth step (smoothstep).

    Args:
        x: Positions.
        start: Where the step begins; 0 before it.
        stop: Where the step ends; 1 after it.

    Returns:
        Values 0 to 1, in the shape of `x`.
    """
    t = np.clip((x - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def curve(u: Numbers, v: Numbers, n: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Compute a smooth line through a few points (Catmull-Rom spline).

    Args:
        u: Positions of the points, (k,).
        v: As `u`.
        n: Number of points of the line.

    Returns:
        u and v of the line, each (n,).
    """
    p = np.stack([u, v], -1).astype(np.float64)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, len(p) - 3 - 1e-6, n)
    k, f = t.astype(int), (t % 1)[:, None]
    a, b, c, d = p[k], p[k + 1], p[k + 2], p[k + 3]
    q = 0.5 * (2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - a - 3 * c + d) * f**3)
    return q[:, 0], q[:, 1]


def mirrored(u: Numbers, v: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Complete a line by its mirror image.

    Args:
        u: The right half from the middle outwards, (n,), starting with 0.
        v: As `u`.

    Returns:
        u and v of the line from left to right, each (2 n - 1,).
    """
    u, v = np.asarray(u), np.asarray(v)
    return np.r_[-u[:0:-1], u], np.r_[v[:0:-1], v]


def noise(
    rng: np.random.Generator, shape: tuple[int, ...], cell_x: float, cell_y: float | None = None
) -> np.ndarray:
    """Sample smooth noise with a variance of about 1/2.

    Args:
        rng: Source of the random numbers.
        shape: (rows, columns).
        cell_x: Width of the cells in pixels.
        cell_y: Height of the cells in pixels; None for square cells.

    Returns:
        The noise, float32 (h, w).
    """
    h, w = shape
    rows, columns = max(2, int(h / (cell_y or cell_x)) + 1), max(2, int(w / cell_x) + 1)
    small = rng.standard_normal((rows, columns), dtype=np.float32)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)


def linear(rgb: Numbers) -> np.ndarray:
    """Convert RGB to linear light, with a gamma of 2 in place of sRGB's curve; the camera reverses it.

    Args:
        rgb: Values 0 to 255.

    Returns:
        Linear light 0 to 1, float32, in the shape of `rgb`.
    """
    return (np.asarray(rgb, np.float32) / 255) ** 2
