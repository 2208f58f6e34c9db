"""`python tests/tools/walk_photos.py`: real photographs through crawl, labels and crops, with each detector.

Takes the folder in FERLIB_PHOTOS (pictures and `legend.csv` with the columns `image, emotion`). The loopback
site serves them, the crawler fetches them, the legend's labels are written as VoTT files, and `crop_regions`
cuts the faces out. A photograph where a detector finds no face is labelled as a whole. Everything is written
into a temporary folder and is gone at the end.
"""

import hashlib
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd

from ferlib import crawl
from ferlib.annotate import formats
from ferlib.annotate.crop import crop_regions
from ferlib.annotate.table import make_table
from ferlib.common import images, labels
from ferlib.common.errors import FerlibError
from ferlib.crawl.site.server import Answer
from ferlib.detect import detector as faces

DETECTORS = ("frontalface_default", "frontalface_alt2", "yunet")
SETTINGS = {"min_size": (20, 20)}  # pixels; the smallest photographs are 44 wide


@contextmanager
def serving(files: list[Path]):
    """A source: the loopback site, with these files in place of its drawings, byte for byte."""
    with crawl.LocalSite(photos=len(files), faults=False) as site:
        bytes_of = {f"/photo/{seed}.jpg": file for seed, file in zip(site.seeds("faces"), files, strict=True)}
        answer = site.answer

        def with_photos(target: str):
            file = bytes_of.get(urlsplit(target).path)
            if file is None:
                return answer(target)
            return Answer(file.read_bytes(), "image/jpeg")

        site.answer = with_photos
        yield site.source()


def collect(folder: Path, legend: pd.DataFrame, raw: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Crawls the legend's pictures; (manifest, emotion of each file that is in)."""
    files = [folder / name for name in legend["image"]]
    emotion_of = {
        hashlib.sha256(file.read_bytes()).hexdigest(): emotion
        for file, emotion in zip(files, legend["emotion"], strict=True)
    }
    with serving(files) as source:
        manifest = crawl.collect_pictures(
            source, "faces", len(files), raw, crawl.CrawlSettings(min_side=40), quiet=True
        )
    good = manifest[manifest["state"] == "ok"].set_index("file")
    return manifest, good["sha256"].map(emotion_of)


def crop_with(name: str, raw: Path, emotions: pd.Series, out: Path) -> dict[str, object]:
    """What a detector found, and what came out of labels and crop with its largest face a picture."""
    detector = faces.load_detector(name)
    rows, counts = [], []
    for file, emotion in emotions.items():
        image = images.load_image(raw / file)
        height, width = image.shape[:2]
        found = faces.detect_faces(image, detector, **SETTINGS)
        counts.append(len(found))
        box = dict(zip(("x", "y", "width", "height"), (found or [(0, 0, width, height)])[0], strict=True))
        rows.append({"image": file, **box, "emotion": emotion, "image_width": width, "image_height": height})
    formats.write_vott(make_table(rows), out / "annotations")
    cut = crop_regions(formats.read_vott(out / "annotations"), raw, out / "faces", labels.SEVEN)
    found = pd.Series(counts)
    return {
        "detector": name,
        "one face": int((found == 1).sum()),
        "several": int((found > 1).sum()),
        "none": int((found == 0).sum()),
        "faces": int(found.sum()),
        "crops": len(cut),
        "problems": len(rows) - len(cut),
    }


def walk(folder: Path, temporary: Path) -> tuple[pd.DataFrame, list[dict]]:
    """(the crawl's manifest, a row a detector); a detector that is not here is told and left out."""
    legend = pd.read_csv(folder / "legend.csv")
    manifest, emotions = collect(folder, legend, temporary / "raw")
    rows = []
    for name in DETECTORS:
        try:
            rows.append(crop_with(name, temporary / "raw", emotions, temporary / name))
        except FerlibError as error:
            print(f"{name}: {error}")
    return manifest, rows


def main() -> None:
    """Print what the crawl left out, and a table of the detectors."""
    if not os.environ.get("FERLIB_PHOTOS"):
        sys.exit("FERLIB_PHOTOS is not set; give it a folder of photographs with legend.csv")
    with tempfile.TemporaryDirectory() as temporary:
        manifest, rows = walk(Path(os.environ["FERLIB_PHOTOS"]), Path(temporary))
    print(manifest.value_counts(["state", "reason"]).to_string())
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
