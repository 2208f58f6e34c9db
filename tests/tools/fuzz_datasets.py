"""Reads mutated data sets: only ferlib's own errors may come out, each within two seconds.

    python tests/tools/fuzz_datasets.py [COUNT] [SEED]

CSVs in every form and archive, class folders, lists of published sets, faces.csv, classes.json and FER+'s votes are
mutated at random; each failure is printed with its number, which is its seed. Exit code 1 where there is one.
"""

import gzip
import io
import json
import logging
import random
import shutil
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ferlib.common.errors import FerlibError
from ferlib.common.labels import parse_names
from ferlib.dataset import audit, build, ferplus
from ferlib.dataset.fer2013 import write_fer2013
from ferlib.dataset.splits import USAGES, Dataset

LIMIT = 2.0
"""Seconds that one input may take."""

TOKENS = (
    *(
        b"",
        b"0",
        b"-1",
        b"7",
        b"256",
        b"99999999999999999999",
        b"0.5",
        b"1e9",
        b"nan",
        b'"',
        b'""',
        b"'",
        b",",
        b";",
    ),
    *(
        b"\t",
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"[",
        b"]",
        b"sep=;\n",
        b"sep=|\n",
    ),
    *(
        b"emotion",
        b"pixels",
        b"Usage",
        b"training",
        b"fold1",
        b"happy",
        b"Happy",
        " 高兴".encode(),
        b"rest",
        b"+",
        b"=x",
    ),
    *(
        b"../../",
        b"/",
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"ustar",
        b"{",
        b"}",
        b"[" * 3000,
        b"9" * 5000,
        b" " * 40_000,
    ),
)
NAMES = (
    "happy",
    "Happy",
    "sad ",
    "高兴",
    "0",
    "1",
    "7",
    "8",
    "12",
    "rest",
    "a+b",
    "a=b",
    "1 fear",
    "-",
    "x" * 80,
    "train",
    "٣",
)


def faces(rng: random.Random, count: int = 9) -> Dataset:
    """Faces of noise."""
    pixels = np.random.default_rng(rng.randrange(1 << 30)).integers(0, 256, (count, 48, 48)).astype(np.uint8)
    return Dataset(pixels, np.arange(count) % 7, np.array(USAGES)[np.arange(count) % 3])


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Some random changes of bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 2, 4, 16))):
        place = (
            rng.randrange(len(changed) + 1)
            if rng.random() < 0.5
            else rng.randrange(min(len(changed), 60) + 1)
        )
        length = rng.choice((0, 1, 2, 9, 400))
        kind = rng.randrange(5)
        if kind == 0:
            changed[place : place + length] = rng.choice(TOKENS)
        elif kind == 1:
            changed[place:place] = rng.choice(TOKENS)
        elif kind == 2:
            changed[place : place + length] = rng.randbytes(length)
        elif kind == 3:
            changed[place:place] = changed[place : place + length] * rng.choice((1, 3, 30))
        elif rng.random() < 0.3:
            del changed[place:]
    return bytes(changed)


def csv_bytes(rng: random.Random, folder: Path) -> bytes:
    """A CSV in one of its forms."""
    write_fer2013(faces(rng), folder / "seed", rng.random() < 0.8)
    data = (folder / "seed").read_bytes()
    (folder / "seed").unlink()
    form = rng.randrange(6)
    if form == 0:
        data = data.replace(b",", b";")
    elif form == 1:
        data = data.decode().encode(rng.choice(("utf-16", "utf-16-le")))
    elif form == 2:
        data = b"\n".join(b"happy" + line[1:] if line[:1].isdigit() else line for line in data.split(b"\n"))
    elif form == 3:
        data = b"sep=,\n" + data
    return data


def pack(data: bytes, rng: random.Random) -> bytes:
    """The same plain, gzipped, or in an archive."""
    kind, out = rng.randrange(6), io.BytesIO()
    if kind == 0:
        return gzip.compress(data, 1)
    if kind == 1:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("fer2013/fer2013.csv", data)
    elif kind == 2:
        with tarfile.open(fileobj=out, mode=rng.choice(("w", "w:gz"))) as archive:
            member = tarfile.TarInfo("fer2013/fer2013.csv")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue() or data


def picture(rng: random.Random) -> bytes:
    """A small picture, sometimes broken, sometimes larger than a face."""
    out, size = io.BytesIO(), (rng.choice((1, 20, 48, 48, 200)), rng.choice((1, 48, 48, 140)))
    Image.effect_noise(size, 90).save(out, rng.choice(("PNG", "JPEG", "GIF", "TIFF", "BMP")))
    return mutate(out.getvalue(), rng) if rng.random() < 0.2 else out.getvalue()


def class_folders(rng: random.Random, folder: Path) -> None:
    """Class folders, with files that belong to other layouts."""
    parts = rng.choice(
        (["."], ["train", "test"], ["train", "val", "test"], ["x/train", "x/test"], ["Training"])
    )
    names = (
        rng.sample(NAMES, rng.randrange(1, 5))
        if rng.random() < 0.6
        else [str(k) for k in range(rng.randrange(1, 9))]
    )
    for part in parts:
        for name in names:
            place = folder / part / name / rng.choice(("", "", "deep", "deep/deeper"))
            place.mkdir(parents=True, exist_ok=True)
            for number in range(rng.randrange(4)):
                file = rng.choice(
                    (f"{number}.png", f"{number}.jpg", f"train_0000{number}_aligned.jpg", f"{number}.txt")
                )
                (place / file).write_bytes(picture(rng))
    if rng.random() < 0.3:
        classes = json.dumps(rng.choice((names, {"class_names": names}, ["happy", "sad"], [1, 2], {"a": 1})))
        (folder / "classes.json").write_bytes(mutate(classes.encode(), rng))


def other_layout(rng: random.Random, folder: Path) -> None:
    """A list or file names of another layout."""
    kind = rng.randrange(4)
    if kind == 0:
        lines = b"".join(b"train_%05d.jpg %d\n" % (k, rng.randrange(9)) for k in range(6))
        (folder / "list_patition_label.txt").write_bytes(mutate(lines, rng))
        names = [f"train_{k:05}.jpg" for k in range(5)]
    elif kind == 1:
        head = b"subDirectory_filePath,face_x,face_y,face_width,face_height,expression\n"
        lines = b"".join(b"%d.png,%d,0,%d,20,%d\n" % (k, k * 9, k * 7, k) for k in range(6))
        (folder / "training.csv").write_bytes(mutate(head + lines, rng))
        names = [f"{k}.png" for k in range(5)]
    elif kind == 2:
        names = [f"KA.{code}1.{k}.tiff" for k, code in enumerate(("AN", "DI", "HA", "XX"))]
    else:
        names = ["happy/0.png", "sad/0.png"]
        lines = b"face,emotion\nhappy/0.png,happy\nsad/0.png,sad\nhappy/0.png,bored\n"
        (folder / "faces.csv").write_bytes(mutate(lines, rng))
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(picture(rng))


def votes(rng: random.Random, folder: Path) -> None:
    """FER2013 with FER+'s votes."""
    write_fer2013(faces(rng), folder / "fer2013.csv")
    head = ",".join(("Usage", "Image name", *ferplus.VOTES))
    rows = "".join(
        f"{USAGES[k % 3]},fer{k}.png,{','.join(str(rng.randrange(11)) for _ in range(10))}\n"
        for k in range(9)
    )
    (folder / "votes.csv").write_bytes(mutate(f"{head}\n{rows}".encode(), rng))


def one(number: int, folder: Path) -> None:
    """Make and read one input."""
    rng = random.Random(number)
    kind = rng.randrange(10)
    if kind < 5:
        (folder / "faces.csv").write_bytes(mutate(pack(mutate(csv_bytes(rng, folder), rng), rng), rng))
        source = folder / "faces.csv"
    elif kind < 8:
        (class_folders if kind < 7 else other_layout)(rng, folder)
        source = folder
    else:
        votes(rng, folder)
        source = folder / "fer2013.csv"
    started = time.perf_counter()
    try:
        if kind >= 8:
            ferplus.relabel(*ferplus.read_voted(source, folder / "votes.csv"), rng.choice(("keep", "drop")))
        elif rng.random() < 0.5:
            audit.audit_dataset(build.read_data(source, rng.random() < 0.7))
        else:
            built = build.build_dataset(
                None, source, None, names=parse_names(rng.choice(("", "happy=x", "x=y")))
            )
            build.write_dataset(built, folder / "out")
    except FerlibError as error:
        if "\n" in str(error) or len(str(error)) > 2000:
            raise AssertionError(f"not one line: {str(error)[:200]!r}") from error
    finally:
        seconds = time.perf_counter() - started
    if seconds > LIMIT:
        raise AssertionError(f"took {seconds:.1f} s")


def main(count: int = 3000, seed: int = 0) -> int:
    """Read `count` inputs; the number of those that failed."""
    logging.getLogger("ferlib").addHandler(logging.NullHandler())
    logging.getLogger("ferlib").propagate = False
    failed, started = 0, time.perf_counter()
    for number in range(seed, seed + count):
        folder = Path(tempfile.mkdtemp(prefix="fuzz"))
        try:
            one(number, folder)
        except Exception as error:
            failed += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            print(f"{number}: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{count} mutated data sets in {time.perf_counter() - started:.0f} s: {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(*map(int, sys.argv[1:])) else 0)
