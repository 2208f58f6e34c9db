"""Cropping against a plain loop, in one run: 10,000 faces from 2,000 photos; time, and memory at its peak.

The loop opens the picture, crops and saves a PNG with Pillow's defaults, once a region. Both may use two
cores. Each runs in a process of its own, so that the memory at the peak is its own:

    python tests/tools/bench_crop.py [photos, default 2000]
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from ferlib.annotate.crop import crop_regions

FACES = 5
"""Regions in a photo."""


def make_photos(folder: Path, count: int) -> None:
    """`count` JPEG photos: the same forty drawings, each picture file with bytes of its own."""
    from ferlib import synth
    from ferlib.annotate import formats
    from ferlib.annotate.table import make_table
    from ferlib.common import images

    rng = np.random.default_rng(0)
    drawings = [synth.draw_photo(seed) for seed in range(40)]
    rows = []
    for k in range(count):
        photo = drawings[k % len(drawings)]
        name = f"{k:05d}.jpg"
        (folder / name).write_bytes(images.encode_jpeg(photo.image, quality=88 + k // 40 % 8))
        height, width = photo.image.shape[:2]
        for j in range(FACES):
            x, y, w, h = photo.faces[j % len(photo.faces)].box
            dx, dy = rng.integers(-6, 7, 2)
            row = {"image": name, "x": x + dx, "y": y + dy, "width": w, "height": h, "emotion": "happy"}
            rows.append(row | {"image_width": width, "image_height": height})
    formats.write_box_csv(make_table(rows), folder.parent / "boxes.csv")


def ours(folder: Path, out: Path, first: int, last: int) -> tuple[int, float, float]:
    from ferlib.annotate import formats
    from ferlib.common import labels

    table = formats.read_box_csv(folder.parent / "boxes.csv")
    table = table[first * FACES : last * FACES]
    started, cpu = time.perf_counter(), time.process_time()
    done = crop_regions(table, folder, out, labels.SEVEN)
    return len(done), time.perf_counter() - started, time.process_time() - cpu


def plain(folder: Path, out: Path, first: int, last: int) -> tuple[int, float, float]:
    import csv

    with (folder.parent / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[first * FACES : last * FACES]
    out.mkdir()
    started, cpu = time.perf_counter(), time.process_time()
    for k, row in enumerate(rows):
        x, y, w, h = (int(row[key]) for key in ("x", "y", "width", "height"))
        picture = Image.open(folder / row["image"])
        picture.crop((x, y, x + w, y + h)).save(out / f"{k}.png")
    return len(rows), time.perf_counter() - started, time.process_time() - cpu


def peak_memory() -> float:
    """MiB of this process at its peak. Linux' ru_maxrss would count what it was forked from as well."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024**2 if sys.platform == "darwin" else 1024
    )


def main() -> None:
    if len(sys.argv) > 2:  # a process of its own
        way, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
        done, seconds, cpu = {"ours": ours, "plain": plain}[way](
            folder, out, int(sys.argv[4]), int(sys.argv[5])
        )
        print(json.dumps({"faces": done, "seconds": seconds, "cpu": cpu, "peak": peak_memory()}))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # what we start inherits it
    half, results = count // 2, {}
    with tempfile.TemporaryDirectory() as temporary:
        photos = Path(temporary) / "photos"
        photos.mkdir()
        make_photos(photos, count)
        # the plain loop before and after ours: what else the machine does weighs on both
        turns = [("few", "ours", 0, half // 2), ("before", "plain", 0, half), ("ours", "ours", 0, count)]
        for name, way, first, last in [*turns, ("after", "plain", half, count)]:
            arguments = [way, str(photos), str(Path(temporary) / name), str(first), str(last)]
            done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True)
            results[name] = json.loads(done.stdout)
    for name, r in results.items():
        print(
            f"{name:6} {r['faces']:6} faces  {r['seconds']:6.1f} s  {r['cpu']:6.1f} s of CPU"
            f"  {r['faces'] / r['seconds']:6.0f} a second  peak {r['peak']:.0f} MiB"
        )
    for key, what in (("seconds", "by the clock (asked for: 3)"), ("cpu", "by CPU time")):
        ratio = (results["before"][key] + results["after"][key]) / results["ours"][key]
        print(f"{ratio:.1f} times as fast as the plain loop {what}")
    print(
        f"memory: {results['ours']['peak'] / results['few']['peak']:.2f} times that of a quarter of the photos"
    )


if __name__ == "__main__":
    main()
