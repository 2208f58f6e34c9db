"""The server's page in a real browser, against a real server with the shipped model: pictures, camera, keyboard, phone.

Skipped where no Chromium is. Pictures of the page are left in `build/browser/`.
"""

import re

import numpy as np
import pytest

import ferlib
from ferlib import synth
from ferlib.common import images
from ferlib.common.labels import SEVEN
from ferlib.live.serve.server import running_server
from tests.browser.lab import CHROMIUM, FAKE, PHONE, choose, keep, launch, opened, status

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: the page is not tried in a browser"
)


@pytest.fixture(scope="module")
def recognizer():
    return ferlib.load(detector="frontalface_default")


@pytest.fixture(scope="module")
def server(recognizer):
    with running_server(recognizer) as server:
        yield server


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A happy face, a picture of several, one without any, one that is no picture, and a camera's film."""
    folder = tmp_path_factory.mktemp("pictures")
    happy = next(face for face in synth.sample_faces(14, seed=3) if face.emotion == "happy")
    images.write_image(folder / "happy.png", synth.draw_photo(4, [happy]).image)
    several = next(p for p in map(synth.draw_photo, range(60)) if len(p.faces) >= 3)
    images.write_image(folder / "several.jpg", several.image)
    images.write_image(folder / "empty.png", np.full((120, 160, 3), 128, np.uint8))
    (folder / "text.jpg").write_text("<html>not a picture</html>")
    frames = synth.film(7, seconds=7.2, fps=4, size=(320, 240))
    # Chromium plays 30 frames a second: each stands there for half of one
    (folder / "film.mjpeg").write_bytes(b"".join(images.encode_jpeg(image, 90) * 12 for image, _ in frames))
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chosen_picture_shows_its_expression(browser, server, files, scheme):
    page = opened(browser, server.url, color_scheme=scheme, viewport={"width": 1100, "height": 800})
    keep(page, f"page_empty_{scheme}")
    choose(page, files / "happy.png")
    assert status(page, "One face").startswith("One face: happy, ")
    assert page.get_by_role("heading", name=re.compile(r"happy \d+ %")).is_visible()
    assert page.locator(".face li").count() == len(SEVEN)
    assert page.locator("#overlay .edge").count() == 1
    keep(page, f"page_happy_{scheme}")

    page.get_by_label("Emoji over faces").check()
    assert page.locator("#overlay use").get_attribute("href") == "#face-happy"
    assert page.locator("#overlay .edge").count() == 0
    keep(page, f"page_emoji_{scheme}")

    page.get_by_label("Emoji over faces").uncheck()
    choose(page, files / "several.jpg")
    status(page, "faces: ")
    assert page.locator(".face").count() == page.locator("#overlay .edge").count() >= 2
    keep(page, f"page_several_{scheme}")
    assert page.problems == [], "no error, no blocked style or script, nothing from another address"
    page.context.close()


def test_the_box_lies_over_the_face(browser, server, files):
    page = opened(browser, server.url)
    with page.expect_response("**/api/predict") as answer:
        choose(page, files / "happy.png")
    status(page, "One face")
    told, place = answer.value.json(), page.locator("#picture").bounding_box()
    box = page.locator("#overlay .edge").bounding_box()
    scale = place["width"] / told["width"]
    x, y, width, height = told["faces"][0]["box"]
    seen = [box["x"] - place["x"], box["y"] - place["y"], box["width"], box["height"]]
    assert seen == pytest.approx([x * scale, y * scale, width * scale, height * scale], abs=5)
    page.context.close()


@pytest.mark.parametrize(
    ("file", "words"),
    [("text.jpg", "cannot open “text.jpg”"), ("empty.png", "No face found")],
)
def test_what_cannot_be_read_is_said(browser, server, files, file, words):
    page = opened(browser, server.url)
    choose(page, files / "happy.png")
    status(page, "happy")
    choose(page, files / file)
    status(page, words)
    assert page.locator(".face").count() == 0
    choose(page, files / "happy.png")
    status(page, "happy")
    page.context.close()


def test_a_dropped_picture_is_read(browser, server, files):
    page = opened(browser, server.url)
    data = page.evaluate_handle(
        """bytes => { const t = new DataTransfer();
        t.items.add(new File([new Uint8Array(bytes)], "happy.png", {type: "image/png"})); return t; }""",
        list((files / "happy.png").read_bytes()),
    )
    page.dispatch_event("#stage", "dragover", {"dataTransfer": data})
    assert "over" in page.locator("#stage").get_attribute("class")
    page.dispatch_event("#stage", "drop", {"dataTransfer": data})
    assert "happy" in status(page, "One face")
    page.context.close()


def test_the_keyboard_is_enough(browser, server, files):
    page = opened(browser, server.url)
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
    assert reached == ["read_here", "choose", "camera", "sample", "emoji"]
    for _ in range(3):
        page.keyboard.press("Shift+Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(files / "happy.png")
    status(page, "happy")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("#overlay use").count() == 1
    assert page.get_by_role("status").count() == 2, (
        "both announced politely: what happened, and the camera's result"
    )
    page.context.close()


def test_on_a_phone_all_fits_and_can_be_touched(browser, server, files):
    page = opened(browser, server.url, **PHONE)
    choose(page, files / "several.jpg")
    status(page, "faces: ")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for control in page.locator("button:visible, .switch").all():
        place = control.bounding_box()
        assert place["height"] >= 44 and place["width"] >= 44
    keep(page, "page_phone")
    assert page.problems == []
    page.context.close()


def test_the_camera_is_followed(playwright, server, files):
    browser = launch(playwright, *FAKE, f"--use-file-for-fake-video-capture={files / 'film.mjpeg'}")
    page = opened(browser, server.url, viewport={"width": 1100, "height": 800})
    seen = set()
    page.on("response", lambda r: seen.add(r.status) if "predict" in r.url else None)
    page.get_by_role("button", name="Use the camera").click()
    status(page, "The camera is on")
    assert "One face" in page.locator("#spoken").text_content()
    names = page.evaluate(
        """async () => { const seen = new Set(); const end = Date.now() + 15000;
        while (Date.now() < end && seen.size < 3) {
          const h = document.querySelector(".face h3 span"); if (h) seen.add(h.textContent.split(" ")[0]);
          await new Promise(r => setTimeout(r, 50)); }
        return [...seen]; }"""
    )
    assert len(names) >= 3, "the film shows one expression after another"
    keep(page, "page_camera")
    assert seen == {200}
    page.get_by_role("button", name="Stop the camera").click()
    status(page, "The camera is off")
    assert page.evaluate("document.getElementById('video').srcObject") is None
    assert page.locator("#overlay .edge").count() == 0
    choose(page, files / "happy.png")
    assert status(page, "One face").startswith("One face: happy")
    assert page.problems == []
    browser.close()


@pytest.mark.parametrize(
    ("flags", "prepare", "words"),
    [
        (["--use-fake-device-for-media-stream", "--deny-permission-prompts"], "", "was not allowed"),
        (["--use-fake-ui-for-media-stream"], "", "No camera was found"),
        (FAKE, "Object.defineProperty(window, 'isSecureContext', {value: false})", "only to secure pages"),
        (
            FAKE,
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotReadableError') }",
            "in use by another program",
        ),
    ],
    ids=["denied", "none", "insecure", "busy"],
)
def test_without_a_camera_the_page_says_why(playwright, server, files, flags, prepare, words):
    browser = launch(playwright, *flags)
    page = browser.new_page()
    page.add_init_script(prepare)
    page.goto(server.url)
    page.get_by_role("button", name="Use the camera").click()
    status(page, words)
    if words == "was not allowed":
        keep(page, "page_denied")
    choose(page, files / "happy.png")  # the page goes on
    status(page, "happy")
    browser.close()


def test_a_server_that_is_gone_is_named(browser, recognizer, files):
    with running_server(recognizer) as server:
        page = opened(browser, server.url)
        choose(page, files / "happy.png")
        status(page, "happy")
    choose(page, files / "happy.png")
    status(page, "server does not answer")
    page.context.close()


def test_the_server_offers_to_read_on_the_device(browser, server):
    page = opened(browser, server.url, viewport={"width": 1200, "height": 850})
    page.get_by_role("button", name="Try drawn faces").click()
    by_server = status(page, "faces: ")
    keep(page, "page_offers_device")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if "predict" in request.url else None)
    page.get_by_role("link", name="Read on this device").click()
    status(page, "Ready")
    assert page.evaluate("reader.then(({ place }) => place)") == "worker"
    page.get_by_role("button", name="Try drawn faces").click()
    assert status(page, "faces: ").split(":")[0] == by_server.split(":")[0]
    assert page.locator(".face").count() == page.locator("#overlay .edge").count() >= 3
    assert page.evaluate("fetch('/healthz').then(() => true, () => false)") is False
    keep(page, "page_on_device")
    page.get_by_role("link", name="Let the server read").click()
    status(page, "Ready")
    assert sent == []
    blocked = [problem for problem in page.problems if "healthz" not in problem]
    assert blocked == [], "nothing but the request above is refused"
    page.context.close()
