"""Write a bundle as a static page that reads expressions in the visitor's browser; nothing is sent anywhere.

The page is a folder of classic scripts with all data inside, so it works from a file as well as from any web server.
A bundle may have its browser form ready, in `model.browser.json`; then a page is written without Keras.
"""

import base64
import json
import os
from itertools import cycle
from pathlib import Path

import numpy as np

from ferlib.common.colours import EMOTION_COLOURS
from ferlib.common.errors import BadInputError, BundleError, logger
from ferlib.common.files import whole_folder, write_text
from ferlib.model.bundle import load_bundle
from ferlib.model.metadata import check_file, file_hash, read_metadata, update_metadata
from ferlib.train.export import check_faces
from ferlib.train.page.graph import browser_graph, run_graph

FORM_FILE = "model.browser.json"
"""The browser form of a bundle's model, inside the bundle; its hash is in the metadata as `forms["page"]`."""

STATIC = Path(__file__).parent / "static"
FILES = ("index.html", "licences.txt", "page.css", "page.js", "reader.js", "runtime.js")
DATA_FILE = "model.js"

SIDE = 48
"""Side of a face in pixels; the page reads no other size."""

SAME_ANSWER = 0.9
"""The share of faces to which the browser form must give the same class as the model."""

MOST_BYTES = 4_200_000
"""A larger page is written with a warning: it takes long to open on a phone."""


def export_page(
    folder: str | os.PathLike, out: str | os.PathLike, check: str | os.PathLike | None = None
) -> str:
    """Write a bundle as a page, or, where `out` is the bundle itself, its browser form into it.

    Args:
        folder: The bundle. Without a ready browser form its Keras model is converted and checked.
        out: The folder of the page: a new or empty one, or an older page, which is replaced.
        check: A FER2013 CSV to check the conversion on; None for drawn faces.

    Returns:
        One line that says what was written and how it compares with the model.

    Raises:
        BadInputError: `out` is a file, or a folder with other files.
        BundleError: The model takes faces of another size, has a layer that the page does not know, or gives other
            answers when it is converted.
    """
    folder, out = Path(folder), Path(out)
    into_bundle = out.exists() and out.resolve() == folder.resolve()
    if not into_bundle:
        _check_target(out)
    metadata = read_metadata(folder)
    if tuple(metadata["input_shape"]) != (SIDE, SIDE, 1):
        height, width = metadata["input_shape"][:2]
        raise BundleError(
            f"{folder}: the page reads faces of {SIDE}×{SIDE} pixels, this model {height}×{width}; "
            "use another format, such as litert"
        )
    facts = metadata.get("forms", {}).get("page")
    if facts and not into_bundle:
        remedy = f"make it with `ferlib export {folder} {folder} --format page`"
        check_file(folder / FORM_FILE, facts["sha256"], remedy)
        graph = json.loads((folder / FORM_FILE).read_text(encoding="utf-8"))
    else:
        graph, facts = _convert(folder, check)
    if into_bundle:
        write_text(folder / FORM_FILE, json.dumps(graph, separators=(",", ":")) + "\n")
        facts["sha256"] = file_hash(folder / FORM_FILE)
        update_metadata(folder, forms=metadata.get("forms", {}) | {"page": facts})
        made, size = f"browser form in {folder}", (folder / FORM_FILE).stat().st_size
    else:
        write_page(out, graph, metadata)
        made, size = f"page in {out}", sum(file.stat().st_size for file in out.iterdir())
    return (
        f"{made}: {size / 1e6:.1f} MB, same class for {facts['same_answer']:.2%} of {facts['faces']} "
        f"{facts['source']}, largest difference {facts['largest_difference']:.1e}"
    )


def write_page(out: str | os.PathLike, graph: dict, metadata: dict) -> None:
    """Write the folder of a page; an older folder of that name is replaced.

    Args:
        out: The folder.
        graph: The model, as `browser_graph` makes it.
        metadata: Of the bundle: `name`, `class_names` and `metrics` are shown.
    """
    metrics = metadata.get("metrics")
    accuracy = {"share": metrics["accuracy"], "n": metrics["n"]} if isinstance(metrics, dict) else None
    names = list(metadata["class_names"])
    content = {
        "model": {
            "name": metadata.get("name", "model"),
            "classNames": names,
            "colours": class_colours(names),
            "accuracy": accuracy,
        },
        "wasm": base64.b64encode((STATIC / "runtime.wasm").read_bytes()).decode(),
        "finder": json.loads((STATIC / "yunet.json").read_text(encoding="utf-8")),
        "network": graph,
        "sample": base64.b64encode((STATIC / "sample.jpg").read_bytes()).decode(),
    }
    with whole_folder(out) as part:
        for name in FILES:
            (part / name).write_bytes((STATIC / name).read_bytes())
        text = json.dumps(content, separators=(",", ":"))
        (part / DATA_FILE).write_text(f"const ferlibData = {text};\n", encoding="utf-8")
        size = sum(file.stat().st_size for file in part.iterdir())
    if size > MOST_BYTES:
        logger.warning(
            "%s: %.1f MB, more than %.1f; a smaller network opens faster", out, size / 1e6, MOST_BYTES / 1e6
        )


def class_colours(class_names: list[str]) -> list[str]:
    """Choose a colour for each class.

    Args:
        class_names: The classes; other names than the known ones get the colours that are left.

    Returns:
        "#rrggbb" per class.
    """
    left = [colour for name, colour in EMOTION_COLOURS.items() if name not in class_names]
    others = cycle(left or EMOTION_COLOURS.values())
    chosen = [EMOTION_COLOURS[name] if name in EMOTION_COLOURS else next(others) for name in class_names]
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in chosen]


def _check_target(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise BadInputError(f"{out} is a file; a page is a folder, so name one that does not exist yet")
    if (
        out.is_dir()
        and any(out.iterdir())
        and not {"index.html", DATA_FILE, "reader.js"} <= {file.name for file in out.iterdir()}
    ):
        raise BadInputError(f"{out} has other files than a page; name a folder that does not exist yet")


def _convert(folder: Path, check: str | os.PathLike | None) -> tuple[dict, dict]:
    bundle = load_bundle(folder)
    graph = browser_graph(bundle.model)
    checked = check_faces(folder, check)
    faces = checked.pixels
    wanted, answers = bundle.predict(faces), run_graph(graph, faces)
    difference = float(np.abs(wanted - answers).max())
    same = float((wanted.argmax(axis=1) == answers.argmax(axis=1)).mean())
    if same < SAME_ANSWER or not np.isfinite(difference):
        raise BundleError(
            f"the browser form gives other answers than the model (same class for {same:.1%} of {len(faces)} faces, "
            f"largest difference {difference:.2g}), so it is not written; use another format"
        )
    facts = {"largest_difference": difference, "same_answer": round(same, 5)}
    return graph, facts | {"faces": len(faces), "source": checked.source}
