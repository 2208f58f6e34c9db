"""The camera cell in a real JupyterLab and a real browser, with a film of a drawn face as the camera.

Skipped where no Chromium is. Pictures of the cell and `camera.json` (frames a second, milliseconds) are left in
`build/browser/`.
"""

import json
import re
import time
from dataclasses import replace
from itertools import groupby, pairwise

import pytest

import ferlib
from ferlib import synth
from ferlib.common import images, paths
from ferlib.live import personal
from tests.browser.lab import (
    CHROMIUM,
    PICTURES,
    browser_page,
    jupyterlab,
    run_all,
    wait_for,
    write_notebook,
)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: the camera cell is not tried in a browser"
)

ALLOWED = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
FILM_FPS, TIMES = 10, 3  # Chromium plays 30 pictures a second, so each is there three times
SEED, SECONDS = 1, 7.2  # three expressions, each between two neutral moments

DETECTOR = "yunet"
REAL = [
    "import ferlib\nfrom ferlib.live.widgets.camera import CameraCell",
    f"cell = CameraCell(ferlib.load(detector='{DETECTOR}'))\ncell",
]
STAND_IN = [
    "import time\nfrom pathlib import Path\nimport numpy as np\nfrom ferlib import Recognizer\n"
    "from ferlib.detect.detector import load_cascade\nfrom ferlib.live.widgets.camera import CameraCell\n"
    "class Model:\n"
    "    class_names, input_shape = ('happy', 'sad'), (48, 48, 1)\n"
    "    def predict(self, faces, tta='none'):\n"
    "        mode = Path('mode').read_text()\n"
    "        if mode == 'fails':\n"
    "            raise ValueError('the model fell over')\n"
    "        if mode == 'slow':\n"
    "            time.sleep(0.4)\n"
    "        return np.tile(np.float32([0.9, 0.1]), (len(faces), 1))",
    "cell = CameraCell(Recognizer(Model(), load_cascade()))\ncell",
]
# what the page has opened can then be asked whether it is closed
REMEMBER = """
window.opened = [];
const ask = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (ask) navigator.mediaDevices.getUserMedia = async (wish) => {
  const stream = await ask(wish);
  window.opened.push(...stream.getTracks());
  return stream;
};
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film as (file for Chromium, pictures, expressions): 640×480, drawn at half the size, which is quicker."""
    pictures, names = [], []
    file = tmp_path_factory.mktemp("film") / "film.mjpeg"
    with file.open("wb") as out:
        for image, emotion in synth.film(SEED, SECONDS, fps=FILM_FPS, size=(320, 240)):
            large = images.resize(image, (640, 480))
            out.write(TIMES * images.encode_jpeg(large, 90))
            pictures.append(large)
            names.append(emotion)
    return file, pictures, names


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    write_notebook(folder / "real.ipynb", REAL)
    write_notebook(folder / "stand_in.ipynb", STAND_IN)
    (folder / "mode").write_text("well")
    return folder


@pytest.fixture(scope="module")
def lab(project, tmp_path_factory):
    # Chromium may then come by another name, which makes the page no secure one
    options = ["--ServerApp.allow_remote_access=True"]
    repository = {"FERLIB_WORK": str(project / "work"), "PYTHONPATH": str(paths.repository())}
    with jupyterlab(project, tmp_path_factory.mktemp("home"), options, repository) as address:
        yield address


def camera(film):
    return [*ALLOWED, f"--use-file-for-fake-video-capture={film[0]}"]


def cell(page):
    return page.locator(".ferlib-camera")


def data(page, name):
    return cell(page).get_attribute(f"data-{name}") or ""


def status(page):
    return page.locator(".ferlib-camera .fc-status").inner_text()


def start(page):
    page.get_by_role("button", name="start the camera").click()


def picture(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    cell(page).screenshot(path=PICTURES / f"camera_{name}.png")


def closed(page):
    """Whether the page has opened a camera and closed all it has opened."""
    states = page.evaluate("window.opened.map((track) => track.readyState)")
    return bool(states) and set(states) == {"ended"}


def test_the_expression_shown_follows_the_film(lab, film, project):
    recognizer = replace(ferlib.load(detector=DETECTOR), longest=320)
    peaks = [round((2.4 * k + 1.3) * FILM_FPS) for k in range(int(SECONDS / 2.4))]
    expected = [recognizer.read(film[1][k], "rgb", min_size=80)[0].emotion for k in peaks]
    assert len(set(expected) - {"neutral"}) == len(expected), f"choose another film: {expected} for {film[2]}"

    with browser_page(lab("real.ipynb"), camera(film), script=REMEMBER) as page:
        run_all(page)
        cell(page).wait_for()
        assert page.evaluate("window.opened.length") == 0  # nothing is filmed before somebody presses start
        assert "before you press start" in status(page)
        start(page)
        wait_for(lambda: "frames per second" in status(page), 60)
        until, shown, paces, delays = time.monotonic() + 1.7 * SECONDS, [], [], []
        while time.monotonic() < until:
            shown.append(data(page, "emotion"))
            paces.append(float(data(page, "fps") or 0))
            delays.append(float(data(page, "latency") or 0))
            assert int(data(page, "unanswered")) <= 2
            time.sleep(0.1)
        held = [name for name, again in groupby(shown) if len(list(again)) >= 3]  # not on its way to another
        seen = [name for name, _ in groupby(name for name in held if name in expected)]
        assert set(seen) == set(expected)
        assert set(pairwise(seen)) <= set(pairwise([*expected, expected[0]])), (expected, shown)
        half = len(paces) // 2  # the first seconds compile the network
        numbers = {
            "frames_a_second": round(sorted(paces[half:])[half // 2], 1),
            "milliseconds_to_the_answer": round(sorted(delays[half:])[half // 2], 1),
            "detector": DETECTOR,
            "asked": {"frames_a_second": 20, "milliseconds_to_the_answer": 150},
        }
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / "camera.json").write_text(json.dumps(numbers, indent=1) + "\n")
        assert numbers["frames_a_second"] > 0
        page.locator(".ferlib-camera summary").click()
        picture(page, "on")
        assert page.locator(".fc-line").first.evaluate(
            "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0)"
        )

        saved = project / "work" / "data" / "my_faces"
        save = page.get_by_role("button", name="save this face")
        assert save.is_disabled()  # until somebody agrees
        page.get_by_label("The person in the picture is me").check()
        page.get_by_label("the expression shown:").select_option("happy")
        for _ in range(2):
            save.click()
            page.wait_for_timeout(300)
        wait_for(lambda: "saved: happy 2" in cell(page).inner_text())
        assert sorted(f.name for f in (saved / "happy").iterdir()) == ["00000.png", "00001.png"]
        face = images.load_image(saved / "happy" / "00000.png")
        assert face.shape[0] == face.shape[1] >= 80 and personal.count_faces(saved, ("happy",)) == {
            "happy": 2
        }
        picture(page, "saved")
        page.get_by_role("button", name="delete all saved faces").click()
        picture(page, "delete")
        page.get_by_role("button", name="keep them").click()
        assert (saved / "happy").is_dir()
        page.get_by_role("button", name="delete all saved faces").click()
        page.get_by_role("button", name="yes, delete").click()
        wait_for(lambda: "Deleted 2 saved faces" in cell(page).inner_text())
        assert not saved.exists()

        page.get_by_label("emoji").check()
        page.set_viewport_size({"width": 1700, "height": 1000})
        wait_for(lambda: "1 face" in status(page))
        page.wait_for_timeout(500)
        picture(page, "emoji")
        page.get_by_label("emoji").uncheck()
        page.get_by_label("smoothing").uncheck()
        page.get_by_label("test-time augmentation").select_option("three")
        wait_for(lambda: "1 face" in status(page))
        page.get_by_role("button", name="stop").click()
        assert closed(page) and "The camera is off" in status(page) and data(page, "emotion") == ""
        picture(page, "off")
        assert not page.get_by_label("The person in the picture is me").is_checked()


def sent_and_answered(page):
    """Counts of the frames and answers that pass the page's web sockets, and the most that were under way."""
    counts = {"sent": 0, "answered": 0, "most": 0}

    def listen(name, sign):
        def hear(payload):
            if re.search(sign, payload if isinstance(payload, bytes) else payload.encode()):
                counts[name] += 1
                counts["most"] = max(counts["most"], counts["sent"] - counts["answered"])

        return hear

    def opened(socket):
        socket.on("framesent", listen("sent", rb'"kind": ?"frame"'))
        socket.on("framereceived", listen("answered", rb'"kind": ?"answer"'))

    page.on("websocket", opened)
    return counts


def test_errors_a_rerun_and_a_restart(lab, film, project):
    mode = project / "mode"
    with browser_page("about:blank", camera(film), script=REMEMBER) as page:
        counts = sent_and_answered(page)
        page.goto(lab("stand_in.ipynb"))
        run_all(page)
        start(page)
        wait_for(lambda: "1 face" in status(page))

        mode.write_text("fails")
        wait_for(lambda: "ValueError: the model fell over" in status(page))
        picture(page, "error")
        before = counts["answered"]
        wait_for(lambda: status(page) and counts["answered"] > before + 5)  # the stream goes on
        mode.write_text("slow")
        wait_for(lambda: "1 face" in status(page))
        before = counts["answered"]
        wait_for(lambda: status(page) and counts["answered"] > before + 4)  # asking the page lets its news in
        mode.write_text("well")
        assert 1 <= counts["most"] <= 2
        assert not closed(page)

        first = cell(page).element_handle()
        run_all(page)  # again, in the same kernel
        first.wait_for_element_state("hidden")
        wait_for(lambda: closed(page))
        cell(page).wait_for()
        assert cell(page).count() == 1 and "before you press start" in status(page)
        start(page)
        wait_for(lambda: "1 face" in status(page))

        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name="Restart Kernel…").click()
        page.locator(".jp-Dialog .jp-mod-accept").click()
        wait_for(lambda: "restarted" in status(page))
        assert closed(page)
        picture(page, "restarted")
        before = counts["sent"]
        page.wait_for_timeout(500)
        assert counts["sent"] == before
        run_all(page)
        wait_for(lambda: page.get_by_role("button", name="start the camera").count())
        start(page)
        wait_for(lambda: "1 face" in status(page))
        page.get_by_role("menuitem", name="Edit", exact=True).click()
        page.get_by_role("menuitem", name="Clear Outputs of All Cells").click()
        wait_for(lambda: closed(page))  # nobody sees it: it does not film


def test_no_camera_is_one_clear_line(lab, film):
    with browser_page(lab("stand_in.ipynb"), ["--use-fake-device-for-media-stream"]) as page:
        run_all(page)
        start(page)  # nobody is there to say yes
        wait_for(lambda: "did not allow the camera" in status(page))
        assert data(page, "state") == "off"
        picture(page, "denied")
        for name, words in (("NotFoundError", "finds no camera"), ("NotReadableError", "another programme")):
            page.evaluate(
                "name => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', name); } }",
                name,
            )
            start(page)
            wait_for(lambda words=words: words in status(page))


def test_a_page_that_is_not_secure_says_so(lab, film):
    arguments = [*camera(film), "--host-resolver-rules=MAP lab.test 127.0.0.1"]
    with browser_page(lab("stand_in.ipynb", "lab.test"), arguments) as page:
        run_all(page)
        start(page)
        wait_for(lambda: "secure pages only, and this one came from http://lab.test" in status(page))
        picture(page, "insecure")


def test_a_source_at_the_kernel_is_shown_and_switched_off(lab, film, project):
    shown = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0)"
    with browser_page(lab("stand_in.ipynb"), camera(film), script=REMEMBER) as page:
        run_all(page)
        cell(page).get_by_label("source").select_option("film")
        cell(page).get_by_role("button", name="start").click()
        wait_for(lambda: "1 face" in status(page))
        assert page.locator(".fc-picture canvas").evaluate(shown) and data(page, "emotion") == "happy"
        assert page.evaluate("window.opened.length") == 0  # the browser's camera is not asked for
        picture(page, "film")
        cell(page).get_by_label("source").select_option("browser")  # stops the film
        wait_for(lambda: "stopped" in status(page) or "off" in status(page))
        start(page)
        wait_for(lambda: "1 face" in status(page) and page.evaluate("window.opened.length") == 1)
        cell(page).get_by_label("source").select_option("film")
        wait_for(lambda: closed(page))
        cell(page).get_by_label("source").select_option("file")
        cell(page).get_by_label("path of a video file").fill("nowhere.mp4")
        cell(page).get_by_label("path of a video file").press("Enter")
        cell(page).get_by_role("button", name="start").click()
        wait_for(lambda: "nowhere.mp4: no such video file" in status(page))
        assert data(page, "state") == "off"
        picture(page, "no_file")
