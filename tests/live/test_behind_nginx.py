"""The README's configuration, in a real nginx on this machine before a real server. Skipped where there is none."""

import re
import shutil
import socket
import subprocess
import time

import pytest
import requests
import urllib3

from ferlib import synth
from ferlib.common import images, paths
from tests.live.test_serve import serving

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.skipif(not (NGINX and shutil.which("openssl")), reason="no nginx and openssl here"),
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

PHOTO = images.encode_jpeg(synth.draw_photo(3).image)
WITHOUT_ROOT = "".join(
    f"{name}_temp_path t;" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def readme_configuration(folder, port: int, behind: str) -> str:
    """The block of the README with this machine's port, certificate and server in it, and its path under /faces/."""
    text = (paths.repository() / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```nginx\n(.*?)```", text, re.S)[1]
    under = re.search(r"`(location /faces/ \{.*?\})`", text)[1]
    for old, new in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("/etc/letsencrypt/live/faces.example.org/fullchain.pem", f"{folder}/cert.pem"),
        ("/etc/letsencrypt/live/faces.example.org/privkey.pem", f"{folder}/key.pem"),
        ("    location / {", f"    {under}\n    location / {{"),
    ):
        assert block.count(old) == 1, old
        block = block.replace(old, new)
    return block.replace("http://127.0.0.1:8000", behind)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    certificate = f"-days 2 -subj /CN=localhost -keyout {folder}/key.pem -out {folder}/cert.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes {certificate}".split()
    subprocess.run(command, check=True, capture_output=True)
    with serving() as server:
        inner = readme_configuration(folder, port, server.url.rstrip("/"))
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
            f"http {{ access_log off; {WITHOUT_ROOT}\n{inner}\n}}\n"
        )
        nginx = subprocess.Popen(
            [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.PIPE
        )
        try:
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert nginx.poll() is None, nginx.stderr.read().decode()
                    time.sleep(0.05)
            yield f"https://localhost:{port}"
        finally:
            nginx.terminate()
            nginx.wait(20)


def ask(method: str, url: str, **more) -> requests.Response:
    urllib3.disable_warnings()
    return requests.request(method, url, verify=False, timeout=30, **more)


def test_the_page_and_the_api_answer_through_it(site):
    page = ask("get", site)
    assert page.status_code == 200 and "Content-Security-Policy" in page.headers
    read = ask("post", f"{site}/api/predict", data=PHOTO).json()
    assert read["faces"] and read["faces"][0]["emotion"] == "happy"
    upload = ask("post", f"{site}/upload", files={"file": ("a.jpg", PHOTO)}).json()
    assert upload["prediction"] == "happiness"  # system E's word


@pytest.mark.parametrize("name", ["faces.example.org", "faces.example.org:8443"])
def test_its_own_page_may_ask_and_other_sites_pages_may_not(site, name):
    """As browsers send it, old ones, too, which have no Sec-Fetch-Site."""
    own, foreign = ({"Host": name, "Origin": f"https://{site}"} for site in (name, "evil.example"))
    for path in ("api/predict", "faces/api/predict"):
        assert ask("post", f"{site}/{path}", data=PHOTO, headers=own).json()["faces"]
        assert ask("post", f"{site}/{path}", data=PHOTO, headers=foreign).status_code == 403


def test_it_works_under_a_path(site):
    page = ask("get", f"{site}/faces/").text
    for name in re.findall(r'(?:src|href)="([^"#:]+)"', page):
        assert ask("get", f"{site}/faces/{name}").status_code == 200, name
    assert ask("post", f"{site}/faces/api/predict", data=PHOTO).json()["faces"]


def test_a_picture_of_its_limit_passes_and_a_larger_one_does_not(site):
    large = PHOTO + bytes(7_900_000 - len(PHOTO))  # what follows the picture in a file is not looked at
    assert ask("post", f"{site}/api/predict", data=large).status_code == 200
    assert ask("post", f"{site}/api/predict", data=bytes(9_000_000)).status_code == 413


def test_who_asks_too_often_is_sent_away(site):
    with (
        requests.Session() as one
    ):  # one connection: a hundred of them would take longer than the rate allows
        statuses = [one.get(f"{site}/healthz", verify=False, timeout=30).status_code for _ in range(300)]
    assert 200 in statuses and 503 in statuses and set(statuses) <= {200, 503}
    time.sleep(3)
    assert ask("get", f"{site}/healthz").status_code == 200
