"""How fast faces are read live and in folders, each beside a reference measured in the same run.

`python tests/tools/bench_live.py` prints a table; with `soak` it also reads a film of ten minutes and a
folder ten times as large, and looks at the memory. YuNet is measured where its file is there (`FERLIB_YUNET`).
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from ferlib import synth
from ferlib.common import images, paths
from ferlib.common.backend import import_keras
from ferlib.common.images import crop_face
from ferlib.detect import detector as faces
from ferlib.live import video
from ferlib.live.folder import predict_paths
from ferlib.live.outputs import Outputs
from ferlib.live.overlay import draw_predictions
from ferlib.live.video_faces import predict_video
from ferlib.model import bundle
from ferlib.model.predictor import Bundle, face_views
from ferlib.model.recognise import Recognizer
from ferlib.train import networks

SIZE = (640, 480)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Seconds of one call: the median, after one that warms up."""
    work()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def one_face_frame() -> np.ndarray:
    """A 640×480 frame with one drawn face that both detectors and system A's find."""
    wanted = [faces.load_cascade(), faces.load_cascade("frontalface_alt"), faces.load_detector()]
    for seed in range(100):
        image, _ = next(iter(synth.film(seed, 1, fps=2, size=SIZE)))
        if all(len(faces.detect_faces(image, each, min_size=(120, 120))) == 1 for each in wanted):
            return image
    raise AssertionError("no film in which all find one face")


def fer_network():
    """mini-Xception (Arriaga, Plöger, Valdenegro 2017), which the `fer` package ships: 58,423 parameters.

    Built here with random weights: its answers do not matter for its speed.
    """
    layers, models = import_keras().layers, import_keras().models

    def normed(x, layer, relu=True):
        x = layers.BatchNormalization()(layer(x))
        return layers.ReLU()(x) if relu else x

    start = x = layers.Input((64, 64, 1))
    for _ in range(2):
        x = normed(x, layers.Conv2D(8, 3, use_bias=False))
    for filters in (16, 32, 64, 128):
        beside = normed(x, layers.Conv2D(filters, 1, strides=2, padding="same", use_bias=False), relu=False)
        x = normed(x, layers.SeparableConv2D(filters, 3, padding="same", use_bias=False))
        x = normed(x, layers.SeparableConv2D(filters, 3, padding="same", use_bias=False), relu=False)
        x = layers.add([layers.MaxPooling2D(3, strides=2, padding="same")(x), beside])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(7, 3, padding="same")(x))
    model = models.Model(start, layers.Softmax()(x))
    if model.count_params() != 58_423:
        raise AssertionError(f"{model.count_params()} parameters, not mini-Xception's 58,423")
    return model


def fer_way(model, cascade: cv2.CascadeClassifier) -> Callable[[np.ndarray], list]:
    """`FER(mtcnn=False).detect_emotions` as the package does it (read from its source, not its code).

    Haar frontalface_default, 1.1, 5 neighbours, at least 50 pixels; the gray frame padded by 40 pixels, each
    box 10 pixels larger on all sides, 64×64, -1 to 1; the Keras model called once, not compiled.
    """

    def read(frame: np.ndarray) -> list:
        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        boxes = cascade.detectMultiScale(gray, 1.1, 5, minSize=(50, 50))
        padded = cv2.copyMakeBorder(gray, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=int(gray[-2:].mean()))
        cut = [padded[y + 30 : y + h + 50, x + 30 : x + w + 50] for x, y, w, h in boxes]
        if not cut:
            return []
        batch = np.stack([cv2.resize(face, (64, 64)).astype("float32") / 127.5 - 1 for face in cut])
        answers = np.asarray(model(batch[..., None], training=False))
        return [(tuple(box), row.round(2).tolist()) for box, row in zip(boxes, answers, strict=True)]

    return read


def system_a_way(model) -> Callable[[np.ndarray], np.ndarray]:
    """System A's loop: the cascade loaded for every frame, three `model.predict` a face, box and label drawn."""

    def read(frame: np.ndarray) -> np.ndarray:
        cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt.xml")
        gray, drawn = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), frame.copy()
        for x, y, w, h in cascade.detectMultiScale(gray, 1.1, 1, minSize=(120, 120)):
            face = cv2.resize(gray[y : y + h, x : x + w], (48, 48))
            total = np.zeros(7)
            for view in face_views(face):
                total += model.predict(view[None, ..., None].astype("float32"), verbose=0)[0]
            cv2.rectangle(drawn, (x, y), (x + w, y + h), (0, 255, 0), 2)
            cv2.putText(drawn, str(total.argmax()), (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 255, 0), 2)
        return drawn

    return read


def live(shipped: Bundle) -> None:
    """One frame with one face: ours with each detector, `fer`'s way, system A's way."""
    frame = one_face_frame()
    bgr = images.to_bgr(frame)
    least = min(frame.shape[:2]) // 6

    def read(detector):
        return Recognizer(shipped, detector).read(frame, "rgb", min_size=least)

    fer = fer_way(fer_network(), faces.load_cascade())
    theirs = seconds(lambda: fer(bgr), 30)
    system_a = system_a_way(networks.build("A", 7))
    old = seconds(lambda: system_a(bgr), 5)
    print(f"fer's way, detect + read{1000 * theirs:28.1f} ms   (its network with random weights)")
    print(f"system A's loop{1000 * old:37.1f} ms   (network A with random weights)")
    for detector in (faces.load_detector(), faces.load_cascade()):
        ours = seconds(lambda d=detector: draw_predictions(frame, read(d)), 60)
        alone = seconds(lambda d=detector: read(d), 60)
        name = type(detector).__name__
        print(
            f"{name}: detect + read + draw, {SIZE[0]}×{SIZE[1]}   {1 / ours:.0f} frames a second (asked: 30)"
        )
        print(f"{name}: detect + read   {theirs / alone:.1f} × fer's way (asked of YuNet: 2)")
        print(
            f"{name}: detect + read + draw   {old / ours:.0f} × system A's loop (asked of YuNet: 20)",
            flush=True,
        )


def write_faces(folder: Path, count: int) -> None:
    """`count` pictures of one drawn face each, 160 pixels, as JPEG."""
    drawn, _ = synth.draw_faces(100, seed=4, size=160)
    for k in range(count):
        (folder / f"{k:05}.jpg").write_bytes(images.encode_jpeg(drawn[k % len(drawn)]))


def megabytes() -> float:
    """Memory of this process that is in use (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def folder(shipped: Bundle, large: int) -> None:
    """A folder of faces against the same with one `model.predict` a face; memory from 100 pictures on."""
    detector, keras = faces.load_detector(), bundle.load_bundle(paths.shipped_bundle()).model
    with tempfile.TemporaryDirectory() as name:
        write_faces(Path(name), large)
        files = sorted(Path(name).iterdir())
        recognizer = Recognizer(shipped, detector)
        predict_paths(files[:100], recognizer)
        before = megabytes()
        started = time.perf_counter()
        summary = predict_paths([name], recognizer)
        ours = (time.perf_counter() - started) / large
        after = megabytes()

        def plain(file: Path) -> None:
            image = images.load_image(file)
            for box in faces.detect_faces(image, detector):
                face = images.face_input(crop_face(image, box))
                keras.predict(face[None, ..., None].astype("float32"), verbose=0)

        some = iter(files)
        theirs = seconds(lambda: plain(next(some)), 40)
    what = f"folder of {large} pictures, {summary.rows} faces"
    print(f"{what}   {1 / ours:.0f} a second, {theirs / ours:.1f} × one model.predict a face (asked: 5)")
    print(f"memory   {before:.0f} MB after 100 pictures, {after:.0f} MB after {large} more", flush=True)


def long_film(shipped: Bundle, minutes: int = 10) -> None:
    """A film of 25 frames a second, read, followed, drawn and written: memory on the way."""
    clip = [image for image, _ in synth.film(7, 10, fps=25, size=(320, 240))]
    marks = {}
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        video.write_video("film.mp4", islice(cycle(clip), minutes * 60 * 25), 25)

        def watched(stream):
            for frame in stream:
                if frame.index % 25 == 0:
                    marks[frame.index] = megabytes()
                yield frame

        recognizer = Recognizer(shipped, faces.load_detector())
        outputs = Outputs(csv="film.csv", annotated="out.mp4", timeline="film.png")
        report = predict_video("film.mp4", recognizer, outputs, progress=watched)
    half_minutes = [marks[k] for k in range(25 * 30, minutes * 60 * 25, 25 * 30)]
    said = ", ".join(f"{mb:.0f}" for mb in half_minutes)
    print(
        f"film of {report.frames} frames, {report.tracks} faces: MB after each half minute {said}", flush=True
    )


def main() -> None:
    """Print a table."""
    soak = sys.argv[1:] == ["soak"]
    shipped = bundle.load_bundle(paths.shipped_bundle(), form="fastest")
    print(f"the model in its fastest form: {type(shipped).__name__}")
    live(shipped)
    folder(shipped, 10_000 if soak else 1_000)
    if soak:
        long_film(shipped)


if __name__ == "__main__":
    main()
