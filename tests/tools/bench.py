"""`make bench`: how fast the parts are, each beside a reference measured in the same run.

Speeds differ from machine to machine; ratios differ much less. Nothing here is a test.
"""

import csv
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ferlib import synth
from ferlib.common import labels
from ferlib.common.backend import import_keras
from ferlib.dataset import build
from ferlib.dataset.splits import join
from ferlib.model import bundle
from ferlib.train import augment, networks


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The fastest of a few runs: the one least disturbed by others."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def drawing() -> tuple:
    """Drawn faces of 96 pixels a second, on one core."""
    cv2.setNumThreads(1)
    rate = 200 / seconds(
        lambda: [synth.draw_face(face) for face in synth.sample_faces(200, seed=0)], repeats=2
    )
    cv2.setNumThreads(-1)
    return "drawn faces of 96 px, one core", f"{rate:.0f} a second", "asked for: 100"


def reading_csv() -> tuple:
    """FER2013's CSV, uncompressed, against csv.reader with split and float for each pixel."""
    faces = build.from_drawn(280, 5, labels.SEVEN)
    many = join([faces] * 20)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "faces.csv"
        build.write_fer2013(many, path)

        def plain():
            with path.open(newline="") as file:
                rows = csv.reader(file)
                next(rows)
                return [np.array([float(v) for v in pixels.split()]) for _, pixels, _ in rows]

        ours, theirs = seconds(lambda: build.read_fer2013(path)), seconds(plain, 1)
    return (
        f"CSV of {len(many)} faces",
        f"{len(many) / ours:.0f} rows a second",
        f"{theirs / ours:.1f} × csv.reader (asked for: 5)",
    )


def augmenting() -> tuple:
    """tf.data with our transform against Keras' ImageDataGenerator with the same operations."""
    import_keras()
    import tensorflow as tf

    pixels = np.random.default_rng(0).integers(0, 256, (6400, 48, 48), dtype=np.uint8)
    targets = np.eye(7, dtype=np.float32)[np.arange(6400) % 7]
    same = augment.Augmentation(flip=True, rotation=12, shear=6, zoom=0.12, shift=0.08)

    def ours():
        for _ in augment.training_batches(pixels, targets, 64, same, seed=0):
            pass

    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        horizontal_flip=True,
        rotation_range=12,
        shear_range=6,
        zoom_range=0.12,
        width_shift_range=0.08,
        height_shift_range=0.08,
    )
    flow = generator.flow(pixels[..., None].astype(np.float32), targets, batch_size=64)

    def theirs():
        for _ in range(len(flow)):
            next(flow)

    fast, slow = seconds(ours), seconds(theirs, 1)
    return (
        "augmentation, two cores",
        f"{6400 / fast:.0f} faces a second",
        f"{slow / fast:.1f} × ImageDataGenerator (asked for: 2)",
    )


def reading_faces() -> tuple:
    """One face through a bundle against Keras' model.predict."""
    import_keras()
    face = np.random.default_rng(0).integers(0, 256, (1, 48, 48), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        loaded = bundle.load_bundle(
            bundle.save_bundle(networks.build("small", 7), Path(folder) / "b", labels.SEVEN)
        )
    plain = face[..., None].astype(np.float32)
    loaded.predict(face), loaded.model.predict(plain, verbose=0)
    ours = seconds(lambda: [loaded.predict(face) for _ in range(50)]) / 50
    theirs = seconds(lambda: [loaded.model.predict(plain, verbose=0) for _ in range(10)]) / 10
    return "one face, small network", f"{ours * 1000:.1f} ms", f"{theirs / ours:.0f} × model.predict"


def main() -> None:
    """Print a table."""
    for work in (drawing, reading_csv, augmenting, reading_faces):
        name, value, reference = work()
        print(f"{name:34}  {value:>24}  {reference}", flush=True)


if __name__ == "__main__":
    main()
