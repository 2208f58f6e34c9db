"""How fast a face is read in each form of a model, and what int8 costs: `bench_litert.py [BUNDLE | NETWORK] [CSV]`.

One face, averaged with its mirror image, on one core; all forms in one run, in turns. BUNDLE is a folder, NETWORK
a name (untrained weights: right for speed only); default: the shipped bundle. With a CSV in FER2013's format the
forms are also compared on the tenth of its Training rows that `ferlib train` holds out, and so is "fixed", int8
with scales fixed beforehand on 300 other Training rows, which we do not export. Nothing here is a test.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # read when TensorFlow starts
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np

from ferlib.common import labels, paths
from ferlib.dataset import splits
from ferlib.dataset.build import read_fer2013
from ferlib.model import bundle, litert
from ferlib.model.predictor import Bundle
from ferlib.train import export, networks

ASKED = 3.0  # ms


def one_core() -> None:
    """Keep the process on one core, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def reader(content: bytes):
    """uint8 faces to probabilities with flip averaging."""
    forward, shape, _ = litert.open_model(content)
    loaded = Bundle("", labels.SEVEN, shape[1:], {}, None, forward, 64)
    return lambda faces: loaded.predict(faces, "flip")


def fixed_scales(model, faces: np.ndarray) -> bytes:
    """int8 with activations' scales fixed on `faces`: LiteRT's "full integer" quantisation."""
    with export.converter_silenced():
        import tensorflow as tf

        converter = export.converter(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [face[None, ..., None].astype(np.float32)] for face in faces
        )
        return bytes(converter.convert())


def milliseconds(
    forms: dict, face: np.ndarray, rounds: int = 40, calls: int = 5
) -> dict[str, tuple[float, float]]:
    """(fastest, median) call of each form; the forms take turns, so that a busy moment meets all."""
    taken = {name: [] for name in forms}
    for _ in range(rounds):
        for name, read in forms.items():
            for _ in range(calls):
                started = time.perf_counter()
                read(face)
                taken[name].append((time.perf_counter() - started) * 1000)
    return {name: (min(times), float(np.median(times))) for name, times in taken.items()}


def main() -> None:
    """Print a table."""
    one_core()
    given = sys.argv[1] if len(sys.argv) > 1 else str(paths.shipped_bundle())
    rows = read_fer2013(sys.argv[2]).part("Training") if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder:
        if given in networks.NETWORKS:
            model = networks.build(given, len(labels.SEVEN))
            given = bundle.save_bundle(model, Path(folder) / given, labels.SEVEN)
        loaded = bundle.load_bundle(given)
    forms = {
        "keras": lambda faces: loaded.predict(faces, "flip"),
        "litert": reader(export.convert(loaded.model)),
        "int8": reader(export.convert(loaded.model, eight_bits=True)),
    }
    if rows is not None:
        off = splits.held_out(rows, 0.1, 7)
        others = np.random.default_rng(7).permutation(np.flatnonzero(~off))[:300]
        forms["fixed"] = reader(fixed_scales(loaded.model, rows.pixels[others]))
    face = np.random.default_rng(0).integers(0, 256, (1, 48, 48), dtype=np.uint8)
    for read in forms.values():
        read(face)
    print(f"{given}: one face with flip averaging, one core; asked: {ASKED:g} ms in the fastest form")
    times = milliseconds(forms, face)
    answers = {} if rows is None else {name: read(rows.pixels[off]) for name, read in forms.items()}
    for name, (fastest, median) in times.items():
        line = f"{name:8} {fastest:6.2f} ms fastest {median:6.2f} ms median {times['keras'][0] / fastest:5.1f} × keras"
        if answers:
            said, wanted = answers[name].argmax(axis=1), answers["keras"].argmax(axis=1)
            right = (said == rows.labels[off]).mean()
            line += (
                f"   {right:.2%} of {off.sum()} held-out rows right, {(said == wanted).mean():.2%} as keras"
            )
        print(line)


if __name__ == "__main__":
    main()
