"""The server, real and on this machine: what it answers, what it refuses and how, that it keeps nothing and ends."""

import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import requests
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ferlib import synth
from ferlib.cli import cli
from ferlib.common import images
from ferlib.common.errors import BadInputError, BundleError
from ferlib.common.labels import SEVEN
from ferlib.common.paths import shipped_bundle
from ferlib.detect.detector import load_cascade, load_detector
from ferlib.detect.yunet import YuNet
from ferlib.live.serve import reader
from ferlib.live.serve.limits import Limits
from ferlib.live.serve.server import Server, running_server
from ferlib.model.recognise import Recognizer, load
from ferlib.train.page.writer import FORM_FILE, POLICY
from tests.live.fakes import HappyModel
from tests.tools import soak_server

HAAR = "frontalface_default"
PHOTO = next(p for p in map(synth.draw_photo, range(60)) if len(p.faces) == 2)
JPEG = images.encode_jpeg(PHOTO.image)
SMALL = Limits(bytes=400_000, seconds=1, pictures=3)
HAPPY = np.full(7, 0.125 / 6, np.float32)
HAPPY[SEVEN.index("happy")] = 0.875


def happy(pause=0.0):
    """A model that recognises every face as happy, 87.5 %."""
    return HappyModel(pause, HAPPY, "fake")


def serving(model=None, limits=None, **options):
    """A running server with a Haar cascade."""
    return running_server(Recognizer(model or happy(), load_cascade()), limits=limits, **options)


@pytest.fixture(scope="module")
def url():
    with serving(limits=SMALL) as server:
        yield server.url


def picture(format, size=(40, 30), mode="RGB", **options):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format, **options)
    return buffer.getvalue()


def png_of(width, height):
    """A PNG of a few bytes whose header promises a large picture."""
    chunk = lambda kind, data: (  # noqa: E731
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    )
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


# --- good answers --------------------------------------------------------------------------------------------


def test_upload_answers_as_system_e(url):
    answer = requests.post(f"{url}/upload", files={"file": ("me.jpg", JPEG, "image/jpeg")})
    told = answer.json()
    assert answer.status_code == 200
    assert (told["prediction"], told["confidence"]) == ("happiness", "87.5%")
    assert len(told["faces"]) == 2
    names = {"anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"}
    assert set(told["faces"][0]["probabilities"]) == names


def test_upload_without_a_face_names_nothing(url):
    told = requests.post(f"{url}/upload", files={"file": picture("PNG")}).json()
    assert told == {"prediction": None, "confidence": None, "faces": []}


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "image/jpeg"}, {"Content-Type": "application/x-www-form-urlencoded"}]
)
def test_raw_bytes_are_read_whatever_their_type_says(url, headers):
    told = requests.post(f"{url}/api/predict", data=JPEG, headers=headers).json()
    assert (told["width"], told["height"]) == PHOTO.image.shape[1::-1]
    assert told["left_out"] == 0 and len(told["faces"]) == 2
    first = told["faces"][0]
    assert first["emotion"] == "happy" and first["probability"] == 0.875
    assert list(first["probabilities"]) == list(SEVEN)
    assert first["box"] in [[int(v) for v in face["box"]] for face in told["faces"]]
    x, y, w, h = first["box"]
    assert x >= 0 and y >= 0 and x + w <= told["width"] and y + h <= told["height"]


def test_several_files_are_answered_in_their_order_and_one_bad_one_stops_no_other(url):
    files = [("file", JPEG), ("file", b"GIF89a"), ("file", picture("WEBP"))]
    answer = requests.post(f"{url}/api/predict", files=files)
    good, bad, empty = answer.json()["pictures"]
    assert answer.status_code == 200
    assert len(good["faces"]) == 2 and "not a whole picture" in bad["error"] and empty["faces"] == []


def test_a_chunked_body_is_read(url):
    parts = [JPEG[k : k + 1000] for k in range(0, len(JPEG), 1000)]
    assert len(requests.post(f"{url}/api/predict", data=iter(parts)).json()["faces"]) == 2


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"])
def test_the_formats(url, format):
    assert requests.post(f"{url}/api/predict", data=picture(format)).json()["faces"] == []


def test_health_names_the_model(url):
    told = requests.get(f"{url}/healthz").json()
    assert told["status"] == "ok" and told["model"] == "fake" and tuple(told["classes"]) == SEVEN


def test_the_page_and_all_it_needs_come_from_here(url):
    page = requests.get(url)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "http" not in page.text.replace("http-equiv", "")
    for name, kind in (("page.css", "text/css"), ("page.js", "javascript")):
        assert f"static/{name}" in page.text
        assert kind in requests.get(f"{url}/static/{name}").headers["Content-Type"]


def test_a_bundle_with_a_browser_form_is_offered_to_read_on_the_visitors_device(url, tmp_path):
    assert "Read on this device" not in requests.get(url).text
    assert requests.get(f"{url}/device").status_code == requests.get(f"{url}/model.js").status_code == 404
    folder = shutil.copytree(shipped_bundle(), tmp_path / "mine")
    recognizer = load(folder, HAAR)
    with running_server(recognizer) as server:
        assert 'href="device"' in requests.get(server.url).text
        page = requests.get(f"{server.url}/device")
        assert page.headers["Content-Security-Policy"].startswith(POLICY)
        assert page.headers["X-Frame-Options"] == "DENY" and "http" not in page.text.replace("http-equiv", "")
        for name in re.findall(r'<script src="([^"]+)"', page.text):
            assert "javascript" in requests.get(f"{server.url}/{name}").headers["Content-Type"]
        content = requests.get(f"{server.url}/model.js").text
        graph = json.loads(content.removeprefix("const ferlibData = ").rstrip(";\n"))["network"]
        assert graph == json.loads((folder / FORM_FILE).read_text())
    (folder / FORM_FILE).write_text("{}")
    with pytest.raises(BundleError, match="is not the file that was saved"), running_server(recognizer):
        pass
    (folder / FORM_FILE).unlink()
    with running_server(recognizer) as server:
        assert "Read on this device" not in requests.get(server.url).text


def test_faces_over_the_limit_are_counted_not_read():
    model = happy()
    with serving(model, replace(SMALL, faces=1)) as server:
        told = requests.post(f"{server.url}/api/predict", data=JPEG).json()
    assert len(told["faces"]) == 1 and told["left_out"] == 1 and max(model.batches) == 1


# --- refusals ------------------------------------------------------------------------------------------------

ZIP = b"PK\x03\x04" + bytes(100)
HOSTILE = Path(__file__).parents[1] / "cases" / "hostile"
BAD = {
    "empty": (b"", 400, "empty"),
    "html": (b"<html><body>hello</body></html>", 415, "a web page, not a picture"),
    "zip": (ZIP, 415, "no known picture format; read are JPEG, PNG"),
    "postscript": ((HOSTILE / "eps-named.jpg").read_bytes(), 415, "PostScript"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "SVG"),
    "text": (b"ein Bild", 415, "no known picture format"),
    "jpeg beginning": (b"\xff\xd8\xff\xe0", 400, "not a whole picture"),
    "png beginning": (b"\x89PNG\r\n\x1a\n", 400, "not a whole picture"),
    "gif beginning": (b"GIF89a", 400, "not a whole picture"),
    "webp beginning": (b"RIFF\x00\x00\x00\x00WEBPVP8 ", 400, "not a whole picture"),
    "cut jpeg": (JPEG[: len(JPEG) // 2], 400, "not a whole picture"),
    "cut png": (picture("PNG", (200, 200))[:-30], 400, "not a whole picture"),
    "bomb": (png_of(30_000, 30_000), 413, "pixels than the limit of 50,000,000"),
    "bomb, larger than Pillow opens": (
        png_of(2**31 - 1, 2**31 - 1),
        413,
        "pixels than the limit of 50,000,000",
    ),
    "too many pixels": (png_of(8000, 7000), 413, "8000×7000 pixels, more than the limit of 50,000,000"),
    "too long a side": ((HOSTILE / "png-1x24M.png").read_bytes(), 413, "32,000 per side"),
    "too many scans": ((HOSTILE / "scanbomb-small.jpg").read_bytes(), 413, "scans"),
    "too many bytes": (JPEG + bytes(400_000), 413, "larger than the limit of 0.4 MB"),
    "far too many bytes": (bytes(5_000_000), 413, "larger than the limit of 0.4 MB"),
}


def assert_refused(answer, status, words):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    line = answer.json()["error"]
    assert words in line and "\n" not in line and len(line) < 200
    assert "/" + "tmp" not in line and "0x" not in line
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"):
        assert name in answer.headers
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(("data", "status", "words"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("way", ["raw", "upload", "several", "chunked"])
def test_what_is_no_picture_gets_one_clear_line(url, data, status, words, way):
    if way == "upload":
        answer = requests.post(f"{url}/upload", files={"file": ("x.jpg", data)})
    elif way == "several":
        answer = requests.post(f"{url}/api/predict", files={"file": ("x.jpg", data)})
    elif way == "raw":
        answer = requests.post(f"{url}/api/predict", data=data)
    else:
        answer = requests.post(
            f"{url}/api/predict", data=(data[k : k + 50_000] for k in range(0, len(data), 50_000))
        )
    assert_refused(answer, status, words)


FORMS = {
    "no field": ("/upload", {"data": {"x": "1"}}, 400, "form field 'file'"),
    "another field": ("/upload", {"files": {"picture": JPEG}}, 400, "form field 'file'"),
    "a text for a file": ("/upload", {"files": {"file": (None, "x")}}, 400, "form field 'file'"),
    "two files": ("/upload", {"files": [("file", JPEG), ("file", JPEG)]}, 400, "/api/predict"),
    "no form at all": ("/upload", {"data": JPEG}, 400, "form field 'file'"),
    "a torn form": (
        "/upload",
        {"data": b"--x\r\nnothing", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        400,
        "form field 'file'",
    ),
    "a form without boundary": (
        "/api/predict",
        {"data": JPEG, "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "0 pictures",
    ),
    "too many files": (
        "/api/predict",
        {"files": [("file", JPEG[:9]) for _ in range(4)]},
        400,
        "4 pictures in the form field 'file': send 1 to 3",
    ),
    "far too many fields": (
        "/api/predict",
        {"files": [(str(k), b"x") for k in range(500)]},
        413,
        "more than the limit of 6 form fields",
    ),
    "a long text": (
        "/upload",
        {"data": {"x": "y" * 390_000}, "files": {"z": b"z"}},
        400,
        "form field 'file'",
    ),
}


@pytest.mark.parametrize(("path", "sent", "status", "words"), FORMS.values(), ids=FORMS)
def test_forms_that_do_not_fit(url, path, sent, status, words):
    assert_refused(requests.post(url + path, **sent), status, words)


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nothing", 404, "/healthz"),
        ("GET", "/static/../app.py", 404, "no such page"),
        ("GET", "/static/%2e%2e/app.py", 404, "no such page"),
        ("GET", "/static/..%2f..%2f..%2fpyproject.toml", 404, "no such page"),
        ("GET", "/static//etc/passwd", 404, "no such page"),
        ("GET", "/static//page.js", 404, "no such page"),
        ("GET", "//evil.example/static/..", 404, "no such page"),
        ("GET", "/healthz/", 404, "no such page"),
        ("GET", "/static", 404, "no such page"),
        ("GET", "/static/", 404, "no such page"),
        ("GET", "/static/page.js%00.html", 404, "no such page"),
        ("GET", "/upload", 405, "POST"),
        ("DELETE", "/api/predict", 405, "POST"),
        ("PUT", "/", 405, "PUT"),
    ],
)
def test_other_addresses(url, method, path, status, words):
    place = urllib.parse.urlsplit(url)
    with requests.Session() as session:  # requests would tidy the path up
        request = session.prepare_request(requests.Request(method, url))
        request.url = f"http://{place.netloc}{path}"
        answer = session.send(request, allow_redirects=False)
        assert_refused(answer, status, words)
        assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "name", ["../../../tmp/x.jpg", "/etc/passwd", "C:\\x.jpg", "a\u202eb.jpg", "x" * 3000, ""]
)
def test_a_clients_file_name_is_never_used(url, name, monkeypatch):
    opened = []
    real = io.open
    monkeypatch.setattr("builtins.open", lambda *a, **k: (opened.append(a[0]), real(*a, **k))[1])
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n' % name.encode()
    body += JPEG + b"\r\n--b--\r\n"
    answer = requests.post(
        f"{url}/upload", data=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code in (200, 400)
    assert answer.status_code == 200 or not name  # without a file name it is no file
    assert not [path for path in opened if isinstance(path, str) and name and name in path]


OWN, EVIL = "http://localhost:8000", "https://evil.example"
SITES = {
    "no origin": ({}, 200),
    "another name of this machine": ({"Host": "localhost:80"}, 200),
    "IPv6": ({"Host": "[::1]:8000"}, 200),
    "own page": ({"Host": "localhost:8000", "Origin": OWN}, 200),
    "own page of a proxy": (
        {"Origin": "https://faces.example.org", "X-Forwarded-Host": "faces.example.org"},
        200,
    ),
    "proxy that says nothing": (
        {"Origin": "https://faces.example.org", "Sec-Fetch-Site": "same-origin"},
        200,
    ),
    "rebound name": ({"Host": "evil.example:8000"}, 403),
    "rebound name, own page": (
        {"Host": "evil.example", "Origin": EVIL, "Sec-Fetch-Site": "same-origin"},
        403,
    ),
    "rebound name, own page, a header": ({"Host": "evil.example", "X-Forwarded-Host": "localhost"}, 403),
    "name that begins well": ({"Host": "localhost.evil.example"}, 403),
    "name with a user": ({"Host": "localhost:1@evil.example"}, 403),
    "no name": ({"Host": ""}, 403),
    "form of another site": ({"Origin": EVIL}, 403),
    "form of another site in a new browser": ({"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}, 403),
    "form of another site to a proxy": ({"Origin": EVIL, "X-Forwarded-Host": "faces.example.org"}, 403),
    "name of a site that begins well": ({"Origin": "http://localhost.evil.example"}, 403),
    "page without an origin": ({"Origin": "null"}, 403),
}


@pytest.mark.parametrize(("headers", "status"), SITES.values(), ids=SITES)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/predict"), ("GET", "/static/page.js"), ("GET", "/x")]
)
def test_on_loopback_other_sites_are_refused(url, headers, status, method, path):
    answer = requests.request(method, url + path, headers=headers, data=JPEG if method == "POST" else None)
    if status == 403:
        assert_refused(answer, 403, "")
        assert ("X-Forwarded-Host" if "pages of" in answer.text else "localhost") in answer.text
    else:
        assert answer.status_code == (404 if path == "/x" else 200)


def test_on_a_network_address_any_name_is_its_own():
    server = Server(Recognizer(happy(), load_cascade()), "0.0.0.0")
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert requests.get(f"{server.url}/healthz", headers={"Host": "faces.example.org"}).status_code == 200
    finally:
        server.stop()
        thread.join()


def raw_exchange(url, data, wait=5.0):
    """What the server answers to bytes that may be no HTTP."""
    place = urllib.parse.urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=wait) as connection:
        connection.sendall(data)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"HELLO\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbroken header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 300_000 + b"\r\n\r\n", 431),
        (b"POST /upload HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /upload HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /upload HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nabc", 413),
    ],
)
def test_what_is_hardly_http_is_answered_in_json_too(url, data, status):
    told, body = raw_exchange(url, data)
    assert told == status and list(json.loads(body)) == ["error"]


@pytest.mark.parametrize(
    "beginning", [b"GET / HT", b"POST /upload HTTP/1.1\r\nContent-Length: 1000\r\n\r\nab"]
)
def test_who_drips_bytes_gets_408_in_time(url, beginning):
    place, started = urllib.parse.urlsplit(url), time.monotonic()
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(beginning)
        connection.settimeout(0.1)
        got = b""
        while time.monotonic() - started < 20 and b"\r\n\r\n" not in got:
            try:
                got += connection.recv(4096)
            except TimeoutError:
                connection.sendall(b"x")  # never silent, never done
    assert b" 408 " in got.split(b"\r\n")[0]
    assert 0.9 < time.monotonic() - started < 15


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_flipped_and_cut_pictures_are_answered(url, data):
    format = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP"]))
    body = bytearray(picture(format, (16, 12)))
    for _ in range(data.draw(st.integers(0, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = bytes(body[: data.draw(st.integers(0, len(body)))])
    answer = requests.post(f"{url}/api/predict", data=body)
    assert answer.status_code in (200, 400, 413, 415)
    assert answer.status_code == 200 or answer.json()["error"]


# --- full, slow, together ------------------------------------------------------------------------------------


def test_a_full_server_says_so_and_when_to_come_again():
    with serving(happy(0.6), replace(SMALL, requests=2)) as server:
        answers = []
        send = lambda: answers.append(requests.post(f"{server.url}/api/predict", data=JPEG))  # noqa: E731
        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        assert requests.get(f"{server.url}/healthz", timeout=5).json()["status"] == "ok"
        for thread in threads:
            thread.join()
        assert {a.status_code for a in answers} == {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert_refused(answer, 503, "busy")
                assert int(answer.headers["Retry-After"]) >= 1
        send()
        assert answers[-1].status_code == 200


def test_silent_connections_block_nobody():
    with serving() as server:
        place = urllib.parse.urlsplit(server.url)
        with ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(socket.create_connection((place.hostname, place.port)))
            for method, path, data in (("GET", "/healthz", None), ("POST", "/api/predict", JPEG)):
                started = time.monotonic()
                assert requests.request(method, server.url + path, data=data, timeout=20).status_code == 200
                assert time.monotonic() - started < 2


def scan_bomb(side, scans):
    """A progressive JPEG that repeats its last scan, which has next to nothing in it."""
    data = picture("JPEG", (side, side), "L", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


@pytest.mark.parametrize("bomb", [scan_bomb(1000, 30_000), scan_bomb(5400, 25)], ids=["refused", "decoded"])
def test_two_scan_bombs_hold_up_nobody(bomb):
    with serving() as server, ThreadPoolExecutor(2) as pool:
        ask = lambda data: requests.post(f"{server.url}/api/predict", data=data, timeout=60)  # noqa: E731
        assert ask(JPEG).status_code == 200
        bombs = [pool.submit(ask, bomb) for _ in range(2)]
        while not all(bomb.done() for bomb in bombs):
            started = time.monotonic()
            assert ask(JPEG).status_code == 200
            assert time.monotonic() - started < 2
        assert {bomb.result().status_code for bomb in bombs} <= {200, 413}


def children(pid):
    return {
        int(child)
        for file in Path(f"/proc/{pid}/task").glob("*/children")
        for child in file.read_text().split()
    }


def hang(decoders):
    """Halt processes, as if a picture had made them hang."""
    assert decoders
    for decoder in decoders:
        os.kill(decoder, signal.SIGSTOP)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the decoders in /proc")
def test_a_hanging_decoder_delays_neither_its_answer_nor_the_end():
    others = children(os.getpid())
    with serving(limits=replace(SMALL, decoding_seconds=1)) as server:
        ask = lambda: requests.post(f"{server.url}/api/predict", data=JPEG, timeout=60)  # noqa: E731
        assert ask().status_code == 200
        hang(children(os.getpid()) - others)
        for _ in range(4):
            assert_refused(ask(), 413, "not decoded within 1 s")
        assert ask().status_code == 200  # all were replaced


def test_model_and_detectors_are_never_used_by_two_threads_at_once(monkeypatch):
    """As with YuNet, of which a server has several; each notes whether another thread is in it."""
    clash = []

    class Detector(YuNet):
        def __init__(self):
            self.inside = 0

        def detect(self, image, min_size=(30, 30)):
            self.inside += 1
            time.sleep(0.005)
            clash.append(self.inside > 1)
            self.inside -= 1
            return [((0, 0, 30, 30), 0.9)]

    monkeypatch.setattr(reader, "load_detector", lambda name: Detector())
    monkeypatch.setattr(reader.os, "cpu_count", lambda: 3)
    model = happy(0.005)
    limits = replace(SMALL, decoding_seconds=30)
    with reader.PictureReader(Recognizer(model, Detector()), limits) as shared, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: shared.read(picture("PNG")), range(80)))
    assert all(len(result.faces) == 1 for result in results)
    assert len(clash) == 80 and not any(clash) and not model.together


def test_a_failure_of_ours_is_said_without_its_inside(caplog):
    class Broken(HappyModel):
        def predict(self, faces, tta="none"):
            if faces.any():
                raise RuntimeError("secret: /home/me")
            return super().predict(faces, tta)

    with serving(Broken(row=HAPPY), SMALL) as server:
        answer = requests.post(f"{server.url}/api/predict", data=JPEG)
        assert_refused(answer, 500, "its log says where")
        assert "secret" not in answer.text and "secret" in caplog.text
        assert requests.post(f"{server.url}/api/predict", data=picture("PNG")).status_code == 200


# --- nothing is kept, all ends -------------------------------------------------------------------------------


def test_no_picture_reaches_the_disk(tmp_path, monkeypatch):
    """Forms and bodies over Werkzeug's and waitress' thresholds, and no temporary file is opened."""

    def refuse(*_args, **_named):
        raise AssertionError("a temporary file was opened")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    monkeypatch.setattr("werkzeug.formparser.SpooledTemporaryFile", refuse)
    rng = np.random.default_rng(3)
    large = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (400, 500, 3), np.uint8)).save(large, "BMP")
    with serving(happy()) as server:
        assert len(large.getvalue()) > 550_000
        for path, sent in (
            ("/upload", {"files": {"file": large.getvalue()}}),
            ("/api/predict", {"data": large.getvalue()}),
        ):
            assert requests.post(server.url + path, **sent).status_code == 200


def test_a_server_ends_with_its_block_and_frees_its_port():
    before = threading.active_count()
    with serving(happy()) as server:
        port = int(server.effective_port)
        assert requests.get(server.url + "/healthz").ok
        session = requests.Session()
        session.get(server.url)  # a connection that stays open
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/healthz", timeout=2)
    assert threading.active_count() <= before
    with serving(port=port) as again:
        assert requests.get(again.url + "/healthz").ok


def test_a_request_in_work_is_answered_before_the_end():
    answers = []
    with serving(happy(0.8)) as server:
        sender = threading.Thread(
            target=lambda: answers.append(requests.post(f"{server.url}/api/predict", data=JPEG))
        )
        sender.start()
        time.sleep(0.4)
    sender.join()
    assert answers[0].status_code == 200


def test_it_listens_on_this_machine_only_unless_told_otherwise():
    server = Server(Recognizer(happy(), load_cascade()))
    try:
        assert server.socket.getsockname()[0] == "127.0.0.1"
    finally:
        server.stop()
        server.run()


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", "taken"), ("no.such.host.invalid", 0), ("127.0.0.1", 70000)]
)
def test_an_address_that_cannot_be_had(host, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1] if port == "taken" else port
        with pytest.raises(BadInputError, match="cannot listen on"):
            Server(Recognizer(happy(), load_cascade()), host, port)


SCRIPT = """
from ferlib.live.serve.server import run_server
from tests.live.test_serve import Recognizer, happy, load_cascade
run_server(Recognizer(happy(), load_cascade()), port=0)
"""


@pytest.mark.parametrize(
    ("command", "number"),
    [
        (["-m", "ferlib", "serve", "--port", "0", "--detector", HAAR], signal.SIGINT),
        (["-c", SCRIPT], signal.SIGTERM),
    ],
    ids=["command line, SIGINT", "SIGTERM"],
)
def test_it_says_where_it_is_and_stops_on_a_signal(command, number):
    with subprocess.Popen(
        [sys.executable, "-u", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            url = process.stdout.readline().split()[0]
            assert url.startswith("http://127.0.0.1:")
            told = requests.post(f"{url}/upload", files={"file": JPEG}).json()
            assert told["prediction"] and told["confidence"].endswith("%")
            process.send_signal(number)
            out, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0 and out.splitlines()[-1] == "stopped" and "Traceback" not in errors


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the decoders in /proc")
def test_it_ends_in_time_though_decoders_hang():
    with subprocess.Popen([sys.executable, "-u", "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().split()[0]
            assert requests.post(f"{url}/api/predict", data=JPEG).status_code == 200
            hang(children(process.pid))
            with ThreadPoolExecutor(2) as pool:
                for _ in range(2):
                    pool.submit(requests.post, f"{url}/api/predict", data=JPEG)
                time.sleep(0.5)
                started = time.monotonic()
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=30)
            assert time.monotonic() - started < 5 and process.returncode == 0
        finally:
            process.kill()


def test_a_network_address_is_pointed_out(monkeypatch):
    monkeypatch.setattr("ferlib.model.recognise.load", lambda *_: None)
    monkeypatch.setattr("ferlib.live.serve.server.run_server", lambda *_: None)
    told = CliRunner().invoke(cli, ["serve", "--host", "0.0.0.0"])
    assert told.exit_code == 0 and "others can reach this page" in told.output
    assert "others" not in CliRunner().invoke(cli, ["serve"]).output


def test_a_small_soak():
    """What `tests/tools/soak_server.py` does, at a hundredth of its size."""
    with serving(happy(), replace(SMALL, requests=8)) as server:
        good = soak_server.good_pictures(server.url, count=48, clients=8, different=6)
        assert good.lost == 0 and set(good.statuses) <= {200, 503} and good.statuses[200] == 48
        bad = soak_server.broken_uploads(server.url, count=40, clients=8, limits=SMALL)
        assert not [status for status in bad.statuses if status >= 500 and status != 503]
        assert bad.statuses[400] and bad.statuses[413] and bad.statuses[415] and bad.statuses[408]
        assert requests.post(f"{server.url}/api/predict", data=JPEG).status_code == 200


def test_yunet_finds_the_faces_of_several_clients_at_once():
    recognizer = Recognizer(happy(), load_detector("yunet"))
    with running_server(recognizer) as server, ThreadPoolExecutor(6) as pool:
        ask = lambda _: requests.post(f"{server.url}/api/predict", data=JPEG).json()["faces"]  # noqa: E731
        answers = list(pool.map(ask, range(12)))
    assert all(answer == answers[0] for answer in answers) and len(answers[0]) == 2
