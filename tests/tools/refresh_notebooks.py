"""`make notebooks`: execute the notebooks in place, in order, in a fresh work folder.

Stored outputs then come from one walk, cells are numbered from 1, no path or time of this machine stays
in the files, and figures have 256 colours, which keeps the files small.
"""

import base64
import io
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def refresh(path: Path) -> None:
    """Execute one notebook in its own folder and store its outputs."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=1800,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        extra_arguments=["--IPKernelApp.log_level=50"],  # it warns of running over TCP
    ).execute()
    notebook, _ = CoalesceStreamsPreprocessor().preprocess(notebook, {})
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            # A widget needs its kernel; without one, the text or picture beside it is what a reader sees.
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in data:
                data["image/png"] = packed(data["image/png"])
    set_opening(notebook)
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    part.replace(path)


def packed(png: str, colors: int = 256) -> str:
    """A PNG in base64 with a palette, where that is smaller: photographs in a figure become a third as large."""
    data = base64.b64decode(png)
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    small = io.BytesIO()
    picture.quantize(colors).save(small, "PNG", optimize=True)
    return base64.b64encode(min(small.getvalue(), data, key=len)).decode()


def set_opening(notebook: nbformat.NotebookNode, width: int = 760) -> None:
    """Put the figure of the cell tagged `opening` into the first cell, as the picture of the result."""
    tagged = [cell for cell in notebook.cells if "opening" in cell.metadata.get("tags", [])]
    figures = [
        o.data["image/png"] for cell in tagged for o in cell.outputs if "image/png" in o.get("data", {})
    ]
    if not figures:
        return
    picture = Image.open(io.BytesIO(base64.b64decode(figures[0]))).convert("RGB")
    picture.thumbnail((width, width))
    small = io.BytesIO()
    picture.quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    text = base64.b64encode(small.getvalue()).decode()
    notebook.cells[0]["attachments"] = {"opening.png": {"image/png": text}}
    if "attachment:opening.png" not in notebook.cells[0].source:
        notebook.cells[0].source += "\n\n![What comes out of this notebook](attachment:opening.png)"


def main(names: list[str]) -> None:
    """Refresh the notebooks whose names begin with one of `names`; all without any."""
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    with tempfile.TemporaryDirectory(prefix="ferlib-notebooks-") as work:
        os.environ.setdefault("FERLIB_WORK", work)
        for path in sorted(NOTEBOOKS.glob("0*.ipynb")):
            if not names or path.name.startswith(tuple(names)):
                print(path.name, flush=True)
                refresh(path)


if __name__ == "__main__":
    main(sys.argv[1:])
