"""`make soak`: the server under 2,500 mixed requests from 64 clients, for at most four minutes.

Half are good pictures; the others are broken, hostile or slow, of wrong methods or from other sites. None may be
answered 5xx (but 503, when it is full), no good picture may be lost, and the memory of the server and its decoders
ends within 20 % of what it was after a first part. Run as a script it starts `ferlib serve` in a process of its
own (arguments: a detector, a share of the size); the tests call the functions.
"""

import io
import math
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import requests
from PIL import Image

from ferlib import synth
from ferlib.common import images
from ferlib.live.serve.limits import Limits

HOSTILE = Path(__file__).parents[1] / "cases" / "hostile"


@dataclass
class Tally:
    """What a soak has seen."""

    statuses: Counter = field(default_factory=Counter)
    """HTTP status to number of answers; 0: the connection ended without one."""
    lost: int = 0
    """Good pictures that got no answer, or another than before."""
    by_kind: dict = field(default_factory=dict)
    seconds: float = 0.0


# --- good ones -----------------------------------------------------------------------------------------------


def good_pictures(url: str, count: int, clients: int, different: int = 24) -> Tally:
    """Send `count` pictures from `clients` threads; a 503 is tried again when it says. Each answer must be right."""
    pictures = [images.encode_jpeg(synth.draw_photo(seed).image) for seed in range(different)]
    right = [_without_noise(requests.post(f"{url}/api/predict", data=p, timeout=60).json()) for p in pictures]
    tally, lock = Tally(), threading.Lock()
    sessions = threading.local()

    def one(number: int) -> None:
        k = number % len(pictures)
        if not hasattr(sessions, "session"):
            sessions.session = requests.Session()
        for _ in range(200):
            try:
                answer = sessions.session.post(f"{url}/api/predict", data=pictures[k], timeout=60)
            except requests.RequestException:
                with lock:
                    tally.statuses[0] += 1
                break
            with lock:
                tally.statuses[answer.status_code] += 1
            if answer.status_code != 503:
                if answer.status_code == 200 and _without_noise(answer.json()) == right[k]:
                    return
                break
            time.sleep(float(answer.headers["Retry-After"]))
        with lock:
            tally.lost += 1

    started = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(count)))
    tally.seconds = time.monotonic() - started
    return tally


def _without_noise(answer: dict) -> list:
    """Boxes and expressions: a batch of another size may change the last digits of a probability."""
    return [(face["box"], face["emotion"]) for face in answer["faces"]]


# --- broken ones ---------------------------------------------------------------------------------------------


@cache
def _photo() -> np.ndarray:
    return synth.draw_photo(3).image


def _encoded(format: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_photo()).save(buffer, format)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IEND", b"")


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data))]


def _flipped(data: bytes, chance: random.Random) -> bytes:
    torn = bytearray(data)
    for _ in range(chance.randrange(1, 60)):
        torn[chance.randrange(len(torn))] ^= 1 << chance.randrange(8)
    return bytes(torn)


def _bombs(limits: Limits) -> list[bytes]:
    """Pictures of few bytes that would unfold: in pixels, in text, in what a frame of an animation promises."""
    side = 5000
    gif, jpeg = bytearray(_encoded("GIF")), bytearray(_encoded("JPEG"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65535, 65535)
    zeros = zlib.compress(bytes(3 * side * side + side))
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000)))
    profile = _chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000)))
    return [
        _png(60_000, 60_000, _chunk(b"IDAT", zlib.compress(bytes(1000)))),
        _png(side, side, _chunk(b"IDAT", zeros)),  # as large as is let in: it is decoded, and has no face
        _png(side, side, _chunk(b"IDAT", zeros[: len(zeros) // 2])),
        _png(10, 10, text, _chunk(b"IDAT", zlib.compress(bytes(310)))),
        _png(10, 10, profile, _chunk(b"IDAT", zlib.compress(bytes(310)))),
        bytes(gif),
        bytes(jpeg),
    ]


def _post(body: bytes, url: str) -> int:
    return requests.post(f"{url}/api/predict", data=body, timeout=60).status_code


def _form(body: bytes, url: str) -> int:
    return requests.post(f"{url}/upload", files={"file": ("../x.jpg", body)}, timeout=60).status_code


def _connect(url: str) -> socket.socket:
    place = urllib.parse.urlsplit(url)
    return socket.create_connection((place.hostname, place.port), timeout=60)


_HEAD = b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\n"


def _answered(connection: socket.socket) -> int:
    line = connection.recv(4096).split(b"\r\n")[0].split()
    return int(line[1]) if len(line) > 1 else 0


def _endless(url: str) -> int:
    """A body that goes on until the server has had enough."""
    part = b"10000\r\n" + b"\xff" * 0x10000 + b"\r\n"
    with _connect(url) as connection:
        connection.sendall(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while not select.select([connection], [], [], 0)[0]:
            connection.sendall(part)
        return _answered(connection)


def _dripping(url: str, seconds: float) -> int:
    """A byte now and then, for longer than the server waits."""
    with _connect(url) as connection:
        connection.sendall(_HEAD + b"Content-Length: 5000\r\n\r\n\xff\xd8\xff")
        until = time.monotonic() + seconds
        while time.monotonic() < until and not select.select([connection], [], [], 0.2)[0]:
            connection.sendall(b"\0")
        return _answered(connection)


def _leaving(url: str, chance: random.Random) -> int:
    """Half a body, and gone: nobody is there for an answer."""
    with _connect(url) as connection:
        connection.sendall(_HEAD + b"Content-Length: 50000\r\n\r\n" + bytes(chance.randrange(1, 49_000)))
    return 0


def _kinds(limits: Limits) -> dict[str, Callable[[str, random.Random], int]]:
    """Name to what is done to the server: (address, dice) to a status, 0 where no answer is to be had."""
    kinds = {}
    for format in ("JPEG", "PNG", "WEBP", "GIF"):
        whole = _encoded(format)
        for name, harm in (("cut", _cut), ("flipped", _flipped)):
            kinds[f"{name} {format}"] = lambda url, dice, w=whole, h=harm: _post(h(w, dice), url)
            kinds[f"{name} {format} in a form"] = lambda url, dice, w=whole, h=harm: _form(h(w, dice), url)
    kinds["zip"] = lambda url, dice: _form(b"PK\x03\x04" + dice.randbytes(5000), url)
    kinds["HTML"] = lambda url, dice: _post(b"<!doctype html><script>1</script>" * 100, url)
    kinds["noise"] = lambda url, dice: _post(b"\xff\xd8\xff" + dice.randbytes(20_000), url)
    for number, bomb in enumerate(_bombs(limits)):
        kinds[f"bomb {number}"] = lambda url, dice, b=bomb: _post(b, url)
    kinds["too large"] = lambda url, dice: _post(bytes(2 * limits.bytes), url)
    kinds["endless"] = lambda url, dice: _endless(url)
    kinds["dripping"] = lambda url, dice: _dripping(url, 3 * limits.seconds + 10)
    kinds["leaving"] = lambda url, dice: _leaving(url, dice)
    return kinds


def _other_kinds() -> dict[str, Callable[[str, random.Random], int]]:
    """Name to a request that is wrong in another way than its picture; as in `_kinds`."""
    good = images.encode_jpeg(_photo())
    own = {"Origin": "https://evil.example"}
    kinds = {}
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"):
        kinds[f"method {method}"] = lambda url, dice, m=method: _request(m, f"{url}/api/predict")
    for path in ("/static//page.js", "/static/../app.py", "/nothing", "/upload/", "/static/%2e%2e/app.py"):
        kinds[f"path {path}"] = lambda url, dice, p=path: _request("GET", url + p)
    for host in ("evil.example", "localhost.evil.example", "", "[::2]:80"):
        kinds[f"host {host}"] = lambda url, dice, h=host: _request("GET", url, headers={"Host": h})
    kinds["origin"] = lambda url, dice: _request("POST", f"{url}/upload", files={"file": good}, headers=own)
    kinds["many files"] = lambda url, dice: _request(
        "POST", f"{url}/api/predict", files=[("file", good) for _ in range(17)]
    )
    for file in sorted(HOSTILE.iterdir()):
        kinds[file.name] = lambda url, dice, f=file: _post(f.read_bytes(), url)
    return kinds


def _request(method: str, url: str, **more) -> int:
    return requests.request(method, url, timeout=60, allow_redirects=False, **more).status_code


def broken_uploads(url: str, count: int, clients: int, limits: Limits, seed: int = 7) -> Tally:
    """Send `count` broken uploads of all kinds; after every hundredth a good picture must be answered."""
    return _mixed(url, count, clients, list(_kinds(limits).items()), seed, good_every=100)


def mixed_requests(
    url: str, count: int, clients: int, limits: Limits, seed: int = 7, seconds: float = 150
) -> Tally:
    """Send `count` requests, half of them good pictures and half wrong in all ways, for at most `seconds`."""
    kinds = [*_kinds(limits).items(), *_other_kinds().items()]
    return _mixed(url, count, clients, kinds, seed, good_every=2, seconds=seconds)


def _mixed(
    url: str, count: int, clients: int, kinds: list, seed: int, good_every: int, seconds: float = math.inf
) -> Tally:
    good = images.encode_jpeg(_photo())
    tally, lock = Tally(), threading.Lock()
    started = time.monotonic()

    def note(name: str, status: int) -> None:
        with lock:
            tally.statuses[status] += 1
            tally.by_kind.setdefault(name, Counter())[status] += 1

    def one(number: int) -> None:
        if time.monotonic() - started > seconds:
            note("not sent: out of time", -1)
            return
        if number % good_every == good_every - 1:
            good_one()
            return
        name, harm = kinds[(number - number // good_every) % len(kinds)]
        try:
            note(name, harm(url, random.Random(f"{seed} {number}")))
        except (requests.RequestException, OSError):
            note(name, 0)

    def good_one() -> None:
        answer = None
        for _ in range(60):
            try:
                answer = requests.post(f"{url}/api/predict", data=good, timeout=60)
            except requests.RequestException:
                break
            note("good", answer.status_code)
            if answer.status_code != 503:
                break
            time.sleep(float(answer.headers["Retry-After"]))
        with lock:
            tally.lost += answer is None or answer.status_code != 200 or not answer.json()["faces"]

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(count)))
    tally.seconds = time.monotonic() - started
    return tally


# --- the script ----------------------------------------------------------------------------------------------


def memory(pid: int) -> int:
    """MB of their own that a process and its children hold (Linux): shared libraries do not count."""
    pids = {pid}
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        pids.update(map(int, file.read_text().split()))
    lines = [line for p in pids for line in Path(f"/proc/{p}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) // 1024


def main() -> int:
    detector = sys.argv[1] if len(sys.argv) > 1 else "yunet"
    scale = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    command = [sys.executable, "-u", "-m", "ferlib", "serve", "--port", "0", "--detector", detector]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            while "http://" not in line:
                line = server.stdout.readline()
            errors, lost, growth = _soak(line.split()[0], server.pid, scale)
        finally:
            server.send_signal(signal.SIGTERM)
            started = time.monotonic()
            server.communicate(timeout=60)  # its last line must find a reader
    ended = time.monotonic() - started
    print(f"the server ended with {server.returncode}, {ended:.1f} s after TERM")
    fine = not errors and not lost and growth <= 0.2 and ended < 5 and server.returncode == 0
    print("holds" if fine else f"DOES NOT HOLD: {errors} errors, {lost} lost, {growth:.0%} more memory")
    return 0 if fine else 1


def _soak(url: str, pid: int, scale: float) -> tuple[int, int, float]:
    """All of it, with a line per step: (answers 5xx but 503, good pictures lost, share of memory more at the end)."""
    statuses, lost, held = Counter(), 0, []
    print("at the start:", memory(pid), "MB", flush=True)
    for step, count in (("warm-up", 700), ("mixed", round(2500 * scale))):
        seen = mixed_requests(url, count, 64, Limits(), seed=count, seconds=60 if step == "warm-up" else 150)
        statuses += seen.statuses
        lost += seen.lost
        time.sleep(5)  # pictures of clients that left are still being read
        held.append(memory(pid))
        print(
            f"{step}, {count} requests: {seen.seconds:.0f} s; {dict(seen.statuses)}; lost {seen.lost}; {held[-1]} MB"
        )
    for name, got in seen.by_kind.items():
        print(f"  {name:28} {dict(got)}")
    sys.stdout.flush()
    errors = sum(n for status, n in statuses.items() if status >= 500 and status != 503)
    return errors, lost, held[1] / held[0] - 1


if __name__ == "__main__":
    sys.exit(main())
