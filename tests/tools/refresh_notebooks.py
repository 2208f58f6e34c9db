"""`make notebooks`: execute the notebooks in place, in order, in a fresh work folder.

Stored outputs then come from one walk, cells are numbered from 1, and no path or time of this
machine stays in the files.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

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
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    part.replace(path)


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
