"""Pictures are decoded in processes that are killed at a deadline."""

import io
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ferlib.common.decode import DecodingPool, PoolBusyError
from ferlib.common.errors import ImageError
from ferlib.common.images import load_image


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


SMALL = encode(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def slow():
    """About a second to decode: 30 million pixels, progressive."""
    return encode(np.zeros((5000, 6000, 3), np.uint8), "JPEG", progressive=True)


@pytest.fixture(scope="module")
def pool():
    with DecodingPool(workers=1) as running:
        yield running


CHILDREN = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def children() -> set[int]:
    return set(map(int, CHILDREN.read_text().split()))


def test_a_picture_is_what_load_image_gives(pool):
    image = pool.load(SMALL, 30)
    assert image.dtype == np.uint8 and (image == load_image(SMALL)).all()
    image[:] = 0  # it can be drawn on


@pytest.mark.parametrize("data", [b"", b"<html></html>", SMALL[:200], b"\x89PNG\r\n\x1a\n"])
def test_what_is_refused_is_refused_with_the_same_words(pool, data):
    with pytest.raises(ImageError) as here:
        load_image(data)
    with pytest.raises(ImageError) as there:
        pool.load(data, 30)
    assert str(there.value) == str(here.value)


def test_the_limit_of_pixels_is_that_of_the_call(pool):
    with pytest.raises(ImageError, match="limit of 1,000"):
        pool.load(SMALL, 30, max_pixels=1000)


def test_a_slow_picture_ends_at_the_deadline_and_the_next_one_is_read(pool, slow):
    pool.load(SMALL, 30)
    began = time.monotonic()
    with pytest.raises(ImageError, match=r"not decoded within 0\.05 s"):
        pool.load(slow, 0.05)
    assert time.monotonic() - began < 1
    assert pool.load(SMALL, 30).shape == (30, 40, 3)


@pytest.mark.skipif(not CHILDREN.exists(), reason="finds the process in /proc")
def test_a_picture_that_hangs_blocks_neither_the_others_nor_the_end():
    before = children()
    with DecodingPool(workers=2) as pool, ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: pool.load(SMALL, 30), range(8)))
        hung, well = children() - before
        os.kill(hung, signal.SIGSTOP)
        results = [threads.submit(pool.load, SMALL, 1.0) for _ in range(8)]
        errors = [error for result in results if (error := result.exception())]
        assert len(errors) == 1 and "not decoded within 1 s" in str(errors[0])
        assert hung not in children() and well in children()
        assert pool.load(SMALL, 30).shape == (30, 40, 3)
        for process in children() - before:
            os.kill(process, signal.SIGSTOP)
    assert children() == before


def test_a_process_that_dies_is_replaced(pool):
    pool.load(SMALL, 30)
    for process in children():
        os.kill(process, signal.SIGKILL)
    with pytest.raises(ImageError, match="its decoder has ended"):
        pool.load(SMALL, 30)
    assert pool.load(SMALL, 30).shape == (30, 40, 3)


def test_a_full_pool_says_so(pool, slow):
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(pool.load, slow, 20)
        time.sleep(0.1)
        with pytest.raises(PoolBusyError, match="try again"):
            pool.load(SMALL, 0.05)
        assert first.result().shape == (5000, 6000, 3)


def test_a_closed_pool_decodes_nothing():
    pool = DecodingPool(workers=1)
    with pool:
        pass
    with pytest.raises(PoolBusyError):
        pool.load(SMALL, 0.1)


def test_a_script_needs_no_guard_and_leaves_no_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom ferlib.common.decode import DecodingPool\n"
        "pool = DecodingPool().__enter__()\nprint(pool.load(sys.stdin.buffer.read(), 30).shape)\n"
    )
    # stdout and stderr are read to their end, which a process that is left would keep open
    done = subprocess.run([sys.executable, script], input=SMALL, capture_output=True, timeout=60)
    assert done.stdout.split() == [b"(30,", b"40,", b"3)"] and not done.stderr
