"""The page that reads expressions, in the visitor's browser or by a server; write it as a folder of files.

The folder has classic scripts with all data inside, so it works from a file as well as from any web server, and sends
nothing anywhere. A bundle may have its browser form ready, in `model.browser.json`; then a page is written without
Keras. `ferlib.live.serve` has the same page.
"""

import base64
import json
import os
from pathlib import Path

from ferlib.common.colours import colours_of
from ferlib.common.errors import BadInputError, BundleError, logger
from ferlib.common.files import whole_folder, write_text
from ferlib.common.html import render
from ferlib.model.bundle import load_bundle
from ferlib.model.metadata import check_file, file_hash, read_metadata, update_metadata
from ferlib.train.export import check_faces, compare
from ferlib.train.page.graph import browser_graph, run_graph

FORM_FILE = "model.browser.json"
"""The browser form of a bundle's model, inside the bundle; its hash is in the metadata as `forms["page"]`."""

STATIC = Path(__file__).parent / "static"
FILES = ("device.js", "licences.txt", "page.css", "page.js", "reader.js", "runtime.js")
PAGE_FILE, DATA_FILE = "index.html", "model.js"

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; style-src 'self'; img-src data:; "
    "connect-src 'none'; base-uri 'none'; form-action 'none'"
)
"""The content security policy of a page that reads on the visitor's device: it can send nothing."""

SIDE = 48
"""Side of a face in pixels; the page reads no other size."""

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
        graph = read_form(folder, metadata)
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


def read_form(folder: Path, metadata: dict) -> dict:
    """Read the browser form of a bundle.

    Args:
        folder: The bundle.
        metadata: Its metadata, with the facts of the form.

    Returns:
        The model, as `browser_graph` makes it.

    Raises:
        BundleError: The file is missing, or is not the one that was saved with the metadata.
    """
    remedy = f"make it with `ferlib export {folder} {folder} --format page`"
    check_file(folder / FORM_FILE, metadata["forms"]["page"]["sha256"], remedy)
    return json.loads((folder / FORM_FILE).read_text(encoding="utf-8"))


def write_page(out: str | os.PathLike, graph: dict, metadata: dict) -> None:
    """Write the folder of a page; an older folder of that name is replaced.

    Args:
        out: The folder.
        graph: The model, as `browser_graph` makes it.
        metadata: Of the bundle: `name`, `class_names` and `metrics` are shown.
    """
    with whole_folder(out) as part:
        for name in FILES:
            (part / name).write_bytes((STATIC / name).read_bytes())
        (part / PAGE_FILE).write_text(render_page(metadata), encoding="utf-8")
        (part / DATA_FILE).write_text(data_script(graph), encoding="utf-8")
        size = sum(file.stat().st_size for file in part.iterdir())
    if size > MOST_BYTES:
        logger.warning(
            "%s: %.1f MB, more than %.1f; a smaller network opens faster", out, size / 1e6, MOST_BYTES / 1e6
        )


def render_page(metadata: dict, on_device: bool = True, static: str = "", linked: bool = False) -> str:
    """Fill in the page's HTML.

    Args:
        metadata: Of the bundle: `name`, `class_names` and `metrics` are shown.
        on_device: Whether pictures are read in the browser, or sent to the page's server.
        static: Where the page's files are, relative to it: "" or a path with a slash at its end.
        linked: Whether the server has both pages, so that each leads to the other.

    Returns:
        The text of index.html.
    """
    metrics = metadata.get("metrics")
    names = list(metadata["class_names"])
    model = {
        "name": metadata.get("name", "model"),
        "classNames": names,
        "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours_of(names).values()],
        "accuracy": {"share": metrics["accuracy"], "n": metrics["n"]} if isinstance(metrics, dict) else None,
    }
    return render(
        "recognise.html", model=model, on_device=on_device, static=static, linked=linked, policy=POLICY
    )


def data_script(graph: dict) -> str:
    """Write the script with what a page needs to read on the visitor's device.

    Args:
        graph: The model, as `browser_graph` makes it.

    Returns:
        The text of model.js.
    """
    content = {
        "wasm": base64.b64encode((STATIC / "runtime.wasm").read_bytes()).decode(),
        "finder": json.loads((STATIC / "yunet.json").read_text(encoding="utf-8")),
        "network": graph,
        "sample": base64.b64encode((STATIC / "sample.jpg").read_bytes()).decode(),
    }
    return f"const ferlibData = {json.dumps(content, separators=(',', ':'))};\n"


def _check_target(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise BadInputError(f"{out} is a file; a page is a folder, so name one that does not exist yet")
    if (
        out.is_dir()
        and any(out.iterdir())
        and not {PAGE_FILE, DATA_FILE, "reader.js"} <= {file.name for file in out.iterdir()}
    ):
        raise BadInputError(f"{out} has other files than a page; name a folder that does not exist yet")


def _convert(folder: Path, check: str | os.PathLike | None) -> tuple[dict, dict]:
    bundle, faces = load_bundle(folder), check_faces(folder, check)
    graph = browser_graph(bundle.model)
    facts = compare(bundle.predict(faces.pixels), run_graph(graph, faces.pixels), faces, "page")
    return graph, facts | {"faces": len(faces.pixels), "source": faces.source}
