"""`python tests/tools/bench_crawl.py`: how fast the crawler is beside plain `requests`, its memory, its kills.

The site runs in a process of its own and answers from memory, so that it is not the brake. Speeds differ
from machine to machine; the shares, measured in one run, differ much less.
"""

import argparse
import hashlib
import io
import multiprocessing
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
from PIL import Image

from ferlib import crawl
from ferlib.common.files import lock_folder
from ferlib.crawl.crawler import LOCK

WORKERS = 8
SETTINGS = crawl.CrawlSettings(WORKERS, pause_s=0.01)
processes = multiprocessing.get_context("forkserver")  # its processes share one import of the library
processes.set_forkserver_preload(["ferlib.crawl"])


def picture(seed: int) -> np.ndarray:
    """Like no other seed's, about 20 KB as a JPEG: soft patches with grain, 400×300."""
    rng = np.random.default_rng(seed)
    patches = Image.fromarray(rng.integers(40, 216, (9, 12, 3), dtype=np.uint8))
    soft = np.asarray(patches.resize((400, 300), Image.Resampling.BICUBIC), np.int16)
    return np.clip(soft + rng.integers(-7, 8, soft.shape[:2])[:, :, None], 0, 255).astype(np.uint8)


def serve(photos: int, delay: float) -> None:
    """The site, until its input ends."""
    with crawl.LocalSite(photos=photos, draw=picture, delay=delay, faults=False) as site:
        for seed in site.seeds("faces"):
            site.answer(f"/photo/{seed}.jpg")
        print(site.url, flush=True)
        sys.stdin.read()


@contextmanager
def site(photos: int, delay: float):
    """The address of a site in a process of its own."""
    command = [sys.executable, __file__, "serve", str(photos), str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


def addresses(photos: int, url: str) -> list[str]:
    return [f"{url}/photo/{seed}.jpg" for seed in crawl.LocalSite(photos=photos, faults=False).seeds("faces")]


def plain(urls: list[str], workers: int) -> None:
    """`requests.Session.get` in as many threads; nothing checked, nothing written."""
    with requests.Session() as session, ThreadPoolExecutor(workers) as pool:
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=workers)
        session.mount("http://", adapter)
        for _ in pool.map(lambda url: len(session.get(url, timeout=30).content), urls):
            pass


def ours(photos: int, url: str, workers: int, folder: Path) -> None:
    """The crawler, from the first page asked to the manifest read."""
    source = crawl.BaiduSource(url, name="local")
    done = crawl.collect_pictures(source, "faces", photos, folder, crawl.CrawlSettings(workers), quiet=True)
    if (done["state"] == "ok").sum() != photos:
        raise SystemExit(done.value_counts(["state", "reason"]).to_string())


def costs(work, *arguments) -> tuple[float, float]:
    """Seconds by the clock, and of this process's processors, which other programs disturb less."""
    clock, processor = time.perf_counter(), time.process_time()
    work(*arguments)
    return time.perf_counter() - clock, time.process_time() - processor


def speed(photos: int, workers: int, rounds: int) -> None:
    """The share of plain requests; rounds take turns, and the middle of the shares counts.

    All folders stay until the end: ext4 steps one by one over what was deleted in the last seconds, which
    makes each new file after a big deletion cost as much as a download.
    """
    with tempfile.TemporaryDirectory() as temporary:
        for delay, asked in ((0.05, 90), (0.0, 40)):
            with site(photos, delay) as url:
                urls = addresses(photos, url)
                plain(
                    urls[:50], workers
                )  # what comes late at the first time only: imports, first connections
                ours(50, url, workers, Path(temporary, f"{delay} first"))
                pairs = [
                    (
                        costs(plain, urls, workers),
                        costs(ours, photos, url, workers, Path(temporary, f"{delay} {number}")),
                    )
                    for number in range(rounds)
                ]
            middle = rounds // 2
            clock, processor = (sorted(theirs[k] / mine[k] for theirs, mine in pairs)[middle] for k in (0, 1))
            theirs, mine = (photos / sorted(pair[k][0] for pair in pairs)[middle] for k in (0, 1))
            print(
                f"{photos} pictures, {workers} workers, delay {delay * 1000:.0f} ms: plain {theirs:.0f}/s, ours "
                f"{mine:.0f}/s, share {clock:.0%} (asked for: {asked} %), by processor time {processor:.0%}",
                flush=True,
            )


def crawl_once(photos: int, url: str, folder: str) -> None:
    """One crawl in this process; prints its largest memory in MB."""
    source = crawl.BaiduSource(url, name="local")
    crawl.collect_pictures(source, "faces", photos, folder, SETTINGS, quiet=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


def memory(few: int = 500, many: int = 5000) -> None:
    """The largest memory of a crawl of few and of many pictures."""
    used = []
    for photos in (few, many):
        with site(photos, 0.0) as url, tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "once", str(photos), url, folder]
            used.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    print(
        f"memory: {used[0]:.0f} MB for {few}, {used[1]:.0f} MB for {many}: "
        f"{used[1] / used[0] - 1:+.1%} (asked for: within 10 %)",
        flush=True,
    )


def kills(times: int = 10, photos: int = 400, seed: int = 0) -> list[str]:
    """SIGKILL at random moments, each run going on where the last one was; what does not agree at the end.

    Also told: addresses asked for again although the manifest had their row when the run was killed.
    """
    rng = random.Random(seed)
    problems, moments = [], []
    with crawl.LocalSite(photos=photos * 2, draw=picture) as running, tempfile.TemporaryDirectory() as folder:
        asked = count_visits(running)
        manifest, known = Path(folder) / "manifest.csv", {}
        for _ in range(times):
            target = row_count(manifest) + rng.randint(1, max(2 * photos // times - 1, 1))
            process = processes.Process(target=crawl_once, args=(photos, running.url, folder))
            process.start()
            while process.is_alive() and row_count(manifest) <= target:
                time.sleep(rng.random() * 0.01)
            process.kill()
            process.join()
            time.sleep(0.1)  # what was under way reaches the site
            problems += [f"{path} was fetched again" for path in known if asked[path] != known[path]]
            rows = crawl.read_manifest(folder)
            paths = [url.removeprefix(running.url) for url in rows["url"]]
            known = {path: asked[path] for path in paths if path in asked}
            moments.append(len(rows))
        last = crawl.collect_pictures(running.source(), "faces", photos, folder, SETTINGS, quiet=True)
        problems += [f"{path} was fetched again" for path in known if asked[path] != known[path]]
        with tempfile.TemporaryDirectory() as other:
            whole = crawl.collect_pictures(running.source(), "faces", photos, other, SETTINGS, quiet=True)
        if not whole.equals(last):
            problems.append("the manifest is not that of a run without a kill")
        problems += compare(Path(folder), last)
    good = (last["state"] == "ok").sum()
    print(
        f"killed {times} times, at {moments} rows; then {good} good pictures of {photos}; {problems or 'all agrees'}"
    )
    return problems


def hold(folder: Path, held) -> None:
    """Hold a folder's lock until this process is killed."""
    with lock_folder(folder, "crawl", LOCK):
        held.set()
        time.sleep(600)


def row_count(manifest: Path) -> int:
    return manifest.read_bytes().count(b"\n") if manifest.is_file() else 0


def count_visits(running: crawl.LocalSite) -> dict[str, int]:
    """Counts, from now on, how often each picture is asked for."""
    asked, lock, answer = {}, threading.Lock(), running.answer

    def counting(target):
        if "/photo/" in target:
            with lock:
                asked[target] = asked.get(target, 0) + 1
        return answer(target)

    running.answer = counting
    return asked


def compare(folder: Path, manifest) -> list[str]:
    """What does not agree between a folder and its manifest."""
    good = manifest[manifest["state"] == "ok"]
    problems = []
    files = {path.name for path in folder.iterdir()} - {"manifest.csv"}
    if files != set(good["file"]):
        problems.append(f"folder and manifest differ in {sorted(files ^ set(good['file']))[:5]}")
    twice = manifest[manifest["reason"] != "same address as an earlier result"]["url"].duplicated()
    if not good["sha256"].is_unique or twice.any():
        problems.append("something is there twice")
    for row in good.itertuples():
        data = (folder / row.file).read_bytes()
        if hashlib.sha256(data).hexdigest() != row.sha256:
            problems.append(f"{row.file} is not what its row says")
        Image.open(io.BytesIO(data)).load()
    return problems


def main() -> None:
    """Speed, memory, kills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what", nargs="?", default="all", choices=["all", "speed", "memory", "kills", "serve", "once"]
    )
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.what == "serve":
        return serve(int(args.rest[0]), float(args.rest[1]))
    if args.what == "once":
        return crawl_once(int(args.rest[0]), *args.rest[1:])
    if args.what in ("all", "speed"):
        speed(args.photos, args.workers, args.rounds)
    if args.what in ("all", "memory"):
        memory()
    if args.what in ("all", "kills"):
        kills()


if __name__ == "__main__":
    main()
