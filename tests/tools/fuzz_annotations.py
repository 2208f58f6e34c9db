"""Mutated label files: whatever is in a file, a reader returns good boxes or raises a FerlibError, within two seconds.

.venv/bin/python tests/tools/fuzz_annotations.py [COUNT] [SEED]
"""

import copy
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from ferlib.annotate.formats import READERS, read_boxes
from ferlib.annotate.pictures import find_pictures
from ferlib.common.errors import FerlibError, logger
from ferlib.common.images import write_image

CASES = Path(__file__).resolve().parents[1] / "cases" / "annotations"
MAX_SECONDS = 2.0
TEXTS = (
    *(
        b"",
        b"{",
        b"[" * 900,
        b'{"a":' * 900,
        b"nan",
        b"Infinity",
        b"-1e999",
        b"9" * 4000,
        b"\x00",
        b"\xff\xfe",
        b"../",
    ),
    *(
        b'"',
        b"'",
        b",",
        b";",
        b"<",
        b"&a;",
        b"<!DOCTYPE x>",
        "笑".encode(),
        b"\xed\xa0\x80",
        b"\r\n",
        b"1e308",
        b"%2e%2e%2f",
    ),
)


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


VALUES = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**30,
        10**4000,
        -(10**12),
        1e308,
        float("nan"),
        float("inf"),
        "",
        " ",
        "x" * 5000,
    ),
    *(
        "../a.jpg",
        "/",
        "C:",
        "\\",
        "\ud83d",
        "a\x00b",
        "1",
        [],
        {},
        [[]],
        [None],
        {"x": None},
        [1, "x"],
        "s3://",
        "file:",
    ),
    *(
        deep(150),
        deep(400),
        "http://[",
        "a.jpg#t=",
        "%",
        "|",
        "not a face",
        [0] * 1000,
        "/data/local-files/?d=",
    ),
)


def nodes(value, found=None):
    """All (container, key) pairs of a JSON value."""
    found = [] if found is None else found
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found.append((value, key))
        nodes(inner, found)
    return found


def mutate_json(content, rng):
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, 4)):
        places = nodes(content)
        if not places:
            break
        container, key = rng.choice(places)
        choice = rng.random()
        if choice < 0.2 and isinstance(container, dict):
            del container[key]
        elif choice < 0.3 and isinstance(container, dict):
            container[rng.choice(("", "x", "points", "rle", "image", "tags"))] = container.pop(key)
        elif choice < 0.4 and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        else:
            container[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(content).encode()


def mutate_bytes(data, rng):
    data = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        place, length = rng.randrange(len(data) + 1), rng.randint(1, 12)
        choice = rng.random()
        if choice < 0.2:
            data = data[:place]
        elif choice < 0.4:
            del data[place : place + length]
        elif choice < 0.6 and data:
            data[min(place, len(data) - 1)] = rng.randrange(256)
        elif choice < 0.7:
            data[place:place] = data[place : place + 10 * length]
        else:
            data[place : place + rng.choice((0, length))] = rng.choice(TEXTS)
    return bytes(data)


def fuzz(count, seed=0):
    """Read `count` mutated files; returns the number of outcomes by kind, or raises at the first failure."""
    rng, outcomes = random.Random(seed), Counter()
    files = sorted(file for file in CASES.iterdir() if file.name != "classes.txt")
    logger.addHandler(logging.NullHandler())
    propagate, logger.propagate = logger.propagate, False
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "classes.txt").write_text("angry\ndisgust\nfear\nhappy\n")
            write_image(folder / "yolo_txt.png", np.zeros((100, 200, 3), np.uint8))
            for number in range(count):
                source = rng.choice(files)
                data = source.read_bytes()
                if source.suffix in (".json", ".vott") and rng.random() < 0.7:
                    data = mutate_json(json.loads(data), rng)
                else:
                    data = mutate_bytes(data, rng)
                file = folder / source.name
                file.write_bytes(data)
                form = None if rng.random() < 0.8 else rng.choice(list(READERS))
                outcomes[
                    check(file, form, folder, f"input {number} of seed {seed} ({source.name}, {form})")
                ] += 1
                file.unlink()
    finally:
        logger.propagate = propagate
    return outcomes


def check(file, form, folder, what):
    begin = time.process_time()
    try:
        table = read_boxes(file, form, folder)
    except FerlibError as error:
        outcome = type(error).__name__
        assert "\n" not in str(error) and len(str(error)) < 1000, f"{what}: {error!r}"
    except BaseException as error:
        raise AssertionError(f"{what}: {file.read_bytes()[:3000]!r}") from error
    else:
        outcome = "boxes" if len(table) else "no boxes"
        assert (table[["x", "y"]] >= 0).all(axis=None) and (table[["width", "height"]] >= 1).all(axis=None), (
            what
        )
        assert not any(".." in image.split("/") or image.startswith("/") for image in table["image"]), what
        find_pictures([*table["image"], *table.attrs["recorded_paths"].values()], folder)
    assert time.process_time() - begin < MAX_SECONDS, f"{what}: too slow"
    return outcome


if __name__ == "__main__":
    arguments = [int(text) for text in sys.argv[1:]]
    print(dict(fuzz(*arguments) if arguments else fuzz(3000)))
