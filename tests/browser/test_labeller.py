"""The labeller in a real JupyterLab, in a real browser: draw a box, press a key, go on, restart, find the label.

Skipped where no Chromium is. A picture of the page is left in `build/browser/`.
"""

import json

import pytest

from ferlib import synth
from ferlib.annotate.formats.vott import read_project
from ferlib.common.images import write_image
from tests.browser import lab as jupyter
from tests.browser.lab import CHROMIUM, PICTURES, browser_page, jupyterlab, wait_for, write_notebook

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: the labeller is not tried in a browser"
)

PHOTO = next(p for p in map(synth.draw_photo, range(50)) if len(p.faces) == 2 and p.image.shape[1] >= 400)
CELLS = [
    "from ferlib.annotate.session import LabelQueue\nfrom ferlib.annotate.widget import Annotator\n"
    "from ferlib.detect.detector import load_cascade",
    "queue = LabelQueue('raw', 'labels', detector=load_cascade())\nAnnotator(queue)",
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "raw").mkdir()
    for name in ("a.png", "b.png"):
        write_image(folder / "raw" / name, PHOTO.image)
    write_notebook(folder / "label.ipynb", CELLS)
    return folder


@pytest.fixture(scope="module")
def lab(project, tmp_path_factory):
    """The address of a JupyterLab over the project, on this machine only."""
    with jupyterlab(project, tmp_path_factory.mktemp("home")) as address:
        yield address("label.ipynb")


@pytest.fixture
def page(lab):
    with browser_page(lab) as page:
        yield page


def run_all(page, again=False):
    """Run every cell of the notebook (in a fresh kernel if `again`) and wait for the labeller."""
    old = page.locator(".ferlib-annotator").element_handle() if again else None
    jupyter.run_all(page, restart=again)
    if old:
        old.wait_for_element_state("hidden")  # it looks alive until the new one takes its place
    page.locator(".ferlib-annotator").wait_for()
    wait_for(lambda: page.locator(".ferlib-annotator img").evaluate("i => i.complete && i.naturalWidth > 0"))


def labels(project):
    if not any((project / "labels").glob("*-asset.json")):
        return []
    table = read_project(project / "labels", keep_all=True).table()
    return table[["image", "x", "y", "width", "height", "emotion"]].values.tolist()


def drag(page, x0, y0, x1, y1):
    """Draw a box between two points of the picture, given in its own pixels; returns the page's per pixel."""
    picture = page.locator(".ferlib-annotator img")
    picture.scroll_into_view_if_needed()
    place = picture.bounding_box()
    scale = place["width"] / PHOTO.image.shape[1]
    page.mouse.move(place["x"] + x0 * scale, place["y"] + y0 * scale)
    page.mouse.down()
    for step in (0.3, 0.6, 1):
        page.mouse.move(
            place["x"] + (x0 + (x1 - x0) * step) * scale, place["y"] + (y0 + (y1 - y0) * step) * scale
        )
    page.mouse.up()
    return scale


def test_a_drawn_and_named_box_is_there_after_a_restart(page, project):
    run_all(page)
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    state = page.locator(".ferlib-annotator .widget-html").first
    assert "Picture 1 of 2: a.png" in state.inner_text()
    assert labels(project) == []

    drag(page, 2, 3, 42, 33)  # a corner without a face
    wait_for(lambda: len(labels(project)) >= 3)
    *_, (image, x, y, width, height, emotion) = labels(project)
    assert (image, emotion) == ("a.png", "")
    assert abs(x - 2) <= 2 and abs(y - 3) <= 2 and abs(width - 40) <= 3 and abs(height - 30) <= 3

    page.keyboard.press("5")  # the keys are ? angry disgust fear happy …
    wait_for(lambda: labels(project)[-1][-1] == "happy")
    for key in ("4", "8"):  # the proposed boxes, which are selected in turn
        before = sum(bool(row[-1]) for row in labels(project))
        page.keyboard.press(key)
        wait_for(lambda before=before: sum(bool(row[-1]) for row in labels(project)) == before + 1)
    assert [row[-1] for row in labels(project)] == ["fear", "neutral", "happy"]
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.locator(".ferlib-annotator").screenshot(path=PICTURES / "labeller.png")

    page.keyboard.press("Enter")
    wait_for(lambda: "Picture 2 of 2: b.png" in state.inner_text())
    assert "1 of 2 pictures done" in page.locator(".ferlib-annotator").inner_text()
    before = labels(project)

    run_all(page, again=True)
    state = page.locator(".ferlib-annotator .widget-html").first
    wait_for(lambda: "Picture 2 of 2: b.png" in state.inner_text())  # the first one that is not done
    page.locator(".ferlib-annotator").get_by_role("button", name="previous").click()
    wait_for(lambda: "a.png (done)" in state.inner_text())
    shown = page.locator(".ferlib-annotator svg").first.text_content()
    assert all(name in shown for name in ("fear", "neutral", "happy"))
    assert labels(project) == before
    page.locator(".ferlib-annotator").screenshot(path=PICTURES / "after_restart.png")
    # no key has reached JupyterLab's own shortcuts, which add, cut and change cells
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert page.locator(".jp-Notebook .jp-MarkdownCell").count() == 0
    files = [
        file for file in (project / "labels").iterdir() if not file.name.startswith(".")
    ]  # not one in the making
    written = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    assert [record["asset"]["path"] for record in written] == ["file:a.png"]
