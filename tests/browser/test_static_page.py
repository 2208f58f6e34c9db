"""The exported page in a headless Chromium: the answers of `Recognizer`, nothing sent, from a file and a server.

Skipped where no Chromium or no YuNet model file is. Pictures of the page are left in `build/browser/`.
"""

import base64
import functools
import http.server
import re
import threading

import numpy as np
import pytest

from ferlib import synth
from ferlib.common import images
from ferlib.common.boxes import iou
from ferlib.common.paths import shipped_bundle
from ferlib.detect.yunet import YuNet
from ferlib.model.bundle import load_bundle
from ferlib.model.recognise import Recognizer
from ferlib.train.page.graph import browser_graph
from ferlib.train.page.writer import export_page, write_page
from tests.browser.lab import CHROMIUM, FAKE, PHONE, keep, launch, opened, status

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: the page is not tried in a browser"
)

READ = """async (base64) => {
  const bitmap = await open(new Blob([bytesOf(base64)], { type: "image/png" }));
  return read(bitmap, bitmap.width, bitmap.height);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "page"
    export_page(shipped_bundle(), out)
    return out


@pytest.fixture(scope="module")
def server(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def ready(browser, url, **context):
    page = opened(browser, url, **context)
    status(page, "Ready")
    return page


def png(image):
    return base64.b64encode(images.cv2.imencode(".png", images.to_bgr(image))[1].tobytes()).decode()


def test_42_drawn_faces_are_read_as_by_the_recognizer(browser, folder):
    recognizer = Recognizer(load_bundle(shipped_bundle(), "fastest"), YuNet(), tta="flip")
    page = ready(browser, (folder / "index.html").as_uri())
    count = 0
    for number in range(100):
        image = synth.draw_photo(number).image
        expected, answer = recognizer.read(image, "rgb"), page.evaluate(READ, png(image))
        assert len(answer["faces"]) == len(expected)
        for face, other in zip(expected, answer["faces"], strict=True):
            assert iou(face.box, other["box"]) >= 0.98
            values = np.array(list(face.probabilities.values()))
            assert np.abs(values - other["probabilities"]).max() <= 0.02
            first, second = np.sort(values)[::-1][:2]
            assert face.emotion == other["emotion"] or first - second <= 0.04
        count += len(expected)
        if count >= 42:
            break
    assert count >= 42 and page.problems == []
    page.context.close()


def test_a_hundred_frames_leave_no_tensors_behind(browser, folder):
    page = ready(browser, (folder / "index.html").as_uri())
    frame = png(images.resize(synth.draw_photo(3).image, (320, 240)))
    counts = page.evaluate(
        f"""async (frame) => {{ const ask = {READ}; const seen = new Set();
        for (let k = 0; k < 100; k++) seen.add((await ask(frame)).tensors);
        return [...seen]; }}""",
        frame,
    )
    assert len(counts) == 1
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_works_from_a_server_in_a_worker(browser, server, scheme):
    page = ready(browser, server, color_scheme=scheme, viewport={"width": 1200, "height": 850})
    assert page.evaluate("reader.then(({ place }) => place)") == "worker"
    keep(page, f"static_empty_{scheme}")
    page.get_by_role("button", name="Try drawn faces").click()
    assert re.match(r"\d+ faces: ", status(page, "faces: "))
    assert page.locator(".face").count() == page.locator("#overlay .edge").count() >= 3
    keep(page, f"static_faces_{scheme}")
    page.get_by_label("Emoji over faces").check()
    assert page.locator("#overlay use").count() >= 3
    keep(page, f"static_emoji_{scheme}")
    assert page.problems == []
    page.context.close()


def test_it_works_from_a_file_with_the_network_off_by_keyboard_and_paste(browser, folder, tmp_path):
    page = ready(browser, (folder / "index.html").as_uri(), offline=True)
    assert page.evaluate("reader.then(({ place }) => place)") == "worker"
    happy = next(face for face in synth.sample_faces(14, seed=3) if face.emotion == "happy")
    photo = synth.draw_photo(4, [happy]).image
    images.write_image(tmp_path / "happy.png", photo)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(tmp_path / "happy.png")
    assert status(page, "One face").startswith("One face: happy")
    for event, field in (("paste", "clipboardData"), ("drop", "dataTransfer")):
        page.evaluate("announce('')")
        page.evaluate(
            """([base64, event, field]) => { const data = new DataTransfer();
            data.items.add(new File([bytesOf(base64)], "a.png", { type: "image/png" }));
            const made = new Event(event, { bubbles: true, cancelable: true }); made[field] = data;
            document.body.dispatchEvent(made); }""",
            [png(photo), event, field],
        )
        assert "happy" in status(page, "One face")
    (tmp_path / "text.jpg").write_text("<html>")
    page.locator("#file").set_input_files(tmp_path / "text.jpg")
    status(page, "cannot open “text.jpg”")
    assert page.problems == []
    page.context.close()


def test_without_workers_the_page_itself_reads(browser, folder):
    context = browser.new_context()
    context.add_init_script("window.Worker = class { constructor() { throw new Error('no workers'); } }")
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    status(page, "Ready")
    page.get_by_role("button", name="Try drawn faces").click()
    status(page, "faces: ")
    context.close()


def test_nothing_can_be_sent(browser, server):
    page = ready(browser, server)
    sent = page.evaluate("fetch('/index.html').then(() => true, () => false)")
    assert sent is False, "the policy forbids it, even to its own server"
    page.context.close()


def test_own_class_names_on_a_phone(browser, tmp_path):
    keras_model = load_bundle(shipped_bundle()).model
    names = ["高兴", "Freude", "a rather long name of an expression", "sad", "<b>", "happy+surprise", "rest"]
    write_page(tmp_path / "p", browser_graph(keras_model), {"name": "mine", "class_names": names})
    page = ready(browser, (tmp_path / "p" / "index.html").as_uri(), **PHONE)
    page.get_by_role("button", name="Try drawn faces").click()
    status(page, "faces: ")
    assert page.locator(".face").first.locator("li > span:first-child").all_text_contents() == names
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for control in page.locator("button:visible, .switch").all():
        place = control.bounding_box()
        assert place["height"] >= 44 and place["width"] >= 44
    page.get_by_label("Emoji over faces").check()
    keep(page, "static_phone")
    assert page.problems == []
    page.context.close()


def test_the_camera_is_followed(playwright, folder, tmp_path):
    frames = synth.film(7, seconds=4, fps=4, size=(320, 240))
    (tmp_path / "film.mjpeg").write_bytes(b"".join(images.encode_jpeg(image, 90) * 12 for image, _ in frames))
    browser = launch(playwright, *FAKE, f"--use-file-for-fake-video-capture={tmp_path / 'film.mjpeg'}")
    page = ready(browser, (folder / "index.html").as_uri(), viewport={"width": 1200, "height": 850})
    page.get_by_role("button", name="Use the camera").click()
    status(page, "The camera is on")
    page.locator(".face").first.wait_for()
    keep(page, "static_camera")
    page.get_by_role("button", name="Stop the camera").click()
    status(page, "The camera is off")
    assert page.evaluate("document.getElementById('video').srcObject") is None
    assert page.problems == []
    browser.close()


def test_the_policy_is_strict(folder):
    text = (folder / "index.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert "default-src 'none'" in policy and "connect-src 'none'" in policy and "unsafe-inline" not in policy
