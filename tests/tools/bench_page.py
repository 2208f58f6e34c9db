"""Time per frame of the exported page and of `Recognizer`, in turns in the same run, and how far their answers differ.

    python -m tests.tools.bench_page [BUNDLE] [PHOTOS]

Prints the median milliseconds for a drawn picture of 640×480 pixels with one face, and, for 42 drawn pictures and
the photographs of the folder PHOTOS, the smallest IoU of a box and the largest difference of a probability. Needs
Chromium, playwright and YuNet's model file (FERLIB_YUNET).
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import ferlib
from ferlib import synth
from ferlib.common import images
from ferlib.common.boxes import iou
from ferlib.common.paths import shipped_bundle
from ferlib.train.page.writer import export_page
from tests.browser.lab import browser_page
from tests.browser.test_static_page import READ, png

TIMED = """async ([base64, count]) => {
  const bitmap = await open(new Blob([bytesOf(base64)], { type: "image/png" }));
  const times = [];
  for (let k = 0; k < count; k++) {
    const started = performance.now();
    await read(pixelsOf(bitmap, bitmap.width, bitmap.height));
    times.push(performance.now() - started);
  }
  return times;
}"""


def main(bundle: Path, photos: Path | None) -> None:
    recognizer = ferlib.load(bundle, "yunet", "flip")
    pictures = [synth.draw_photo(k).image for k in range(42)]
    if photos:
        pictures += [images.load_image(file) for file in sorted(photos.glob("*.jpg"))]
    one = next(
        image for k in range(99) if len(recognizer.read(image := synth.draw_photo(k).image, "rgb")) == 1
    )
    frame = images.resize(one, (640, 480))
    with tempfile.TemporaryDirectory() as folder:
        print(export_page(bundle, Path(folder) / "page"))
        with browser_page((Path(folder) / "page" / "index.html").as_uri()) as page:
            page.evaluate(TIMED, [png(frame), 5])
            ours, its = [], []
            for _ in range(6):
                for _ in range(5):
                    started = time.perf_counter()
                    recognizer.read(frame, "rgb")
                    ours.append(1000 * (time.perf_counter() - started))
                its += page.evaluate(TIMED, [png(frame), 5])
            first, second = np.median(ours), np.median(its)
            print(
                f"640×480, one face: Python {first:.0f} ms, page {second:.0f} ms, {second / first:.1f} times"
            )
            overlaps, differences, other, missed = [], [], 0, 0
            for image in pictures:
                faces, answer = recognizer.read(image, "rgb"), page.evaluate(READ, png(image))
                missed += abs(len(faces) - len(answer["faces"]))
                for face, its_face in zip(faces, answer["faces"], strict=False):
                    overlaps.append(iou(face.box, its_face["box"]))
                    values = list(face.probabilities.values())
                    differences.append(np.abs(np.subtract(values, its_face["probabilities"])).max())
                    other += face.emotion != its_face["emotion"]
            print(
                f"{len(pictures)} pictures, {len(overlaps)} faces: smallest IoU {min(overlaps):.3f}, "
                f"largest difference "
                f"{max(differences):.4f}, {other} with another class, {missed} found by one only"
            )


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else shipped_bundle(),
        Path(sys.argv[2]) if len(sys.argv) > 2 else None,
    )
