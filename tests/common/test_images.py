"""Pictures in and out: a table of bad and odd files, turning, gray, resizing, writing."""

import io
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageFile, ImageOps

from ferlib.common import images
from ferlib.common.errors import BadInputError, FerlibError, ImageError

COLORS = np.zeros((40, 60, 3), np.uint8)
COLORS[:20, :30], COLORS[:20, 30:] = (255, 0, 0), (0, 255, 0)
COLORS[20:, :30], COLORS[20:, 30:] = (0, 0, 255), (250, 240, 10)


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def good(kind="PNG", **options):
    return encoded(Image.fromarray(COLORS), kind, **options)


def huge_png(width=200_000, height=200_000):
    """A PNG of a few bytes that claims to be huge."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk
        + b"\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e\x00\x00\x00\x00IEND\xae\x42\x60\x82"
    )


BAD = {
    "empty": (b"", "empty"),
    "one byte": (b"\xff", "not a whole picture"),
    "JPEG cut in half": (good("JPEG")[:400], "not a whole picture"),
    "JPEG without its end": (good("JPEG")[:-30], "not a whole picture"),
    "PNG cut in half": (good()[: len(good()) // 2], "not a whole picture"),
    "PNG with a broken middle": (good()[:60] + bytes(20) + good()[80:], "not a whole picture"),
    "WebP cut": (good("WEBP", lossless=True)[:60], "not a whole picture"),
    "GIF cut": (good("GIF")[:60], "not a whole picture"),
    "BMP cut": (good("BMP")[:600], "not a whole picture"),
    "web page under a picture's name": (
        b"<!DOCTYPE html><html><body>404</body></html>",
        "not a whole picture",
    ),
    "text": (b"happy, 1, 2, 3", "not a whole picture"),
    "drawing (SVG)": (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>',
        "not a whole picture",
    ),
    "zeros": (bytes(2000), "not a whole picture"),
    "40 billion pixels": (huge_png(), "more (pixels )?than the limit"),
    "two billion wide": (huge_png(2**31 - 1, 1), "more (pixels )?than the limit"),
    "no width": (huge_png(0, 10), "not a whole picture"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("as_file", [False, True])
def test_a_bad_picture_is_refused_and_named(tmp_path, case, as_file):
    data, reason = BAD[case]
    file = tmp_path / "face.jpg"
    file.write_bytes(data)
    with pytest.raises(ImageError, match=reason) as caught:
        images.load_image(file if as_file else data)
    assert str(caught.value).startswith(str(file) if as_file else "picture")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["gone.png", ".", "gone/too/a.png", "a" * 5000])
def test_what_is_no_file_is_refused(tmp_path, name):
    with pytest.raises(ImageError, match="cannot be read"):
        images.load_image(tmp_path / name)


def test_the_limit_counts_pixels_before_decoding(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(good())
    assert images.load_image(file, max_pixels=2400).shape == (40, 60, 3)
    with pytest.raises(ImageError, match="60×40 pixels"):
        images.load_image(file, max_pixels=2399)


GRAY = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
RAMP16 = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)


def rgba():
    picture = Image.fromarray(COLORS).convert("RGBA")
    picture.putalpha(Image.fromarray(np.repeat([[255] * 30 + [0] * 30], 40, axis=0).astype(np.uint8)))
    return picture


def white_right():
    out = COLORS.copy()
    out[:, 30:] = 255
    return out


def of_gray(values):
    return np.repeat(np.asarray(values, np.uint8)[:, :, None], 3, axis=2)


ODD = {
    "RGB": (good(), COLORS, 0),
    "JPEG": (good("JPEG", quality=95, subsampling=0), COLORS, 12),
    "BMP": (good("BMP"), COLORS, 0),
    "WebP": (good("WEBP", lossless=True), COLORS, 0),
    "TIFF": (good("TIFF"), COLORS, 0),
    "palette": (encoded(Image.fromarray(COLORS).quantize(8)), COLORS, 2),
    "RGBA, the transparent part white": (encoded(rgba()), white_right(), 0),
    "RGBA WebP": (encoded(rgba(), "WEBP", lossless=True), white_right(), 0),
    "palette with a transparent colour": (
        encoded(Image.fromarray(np.eye(8, dtype=np.uint8), "P"), transparency=0), None, 0),
    "CMYK JPEG": (encoded(Image.fromarray(COLORS).convert("CMYK"), "JPEG", quality=95), COLORS, 25),
    "YCbCr TIFF": (encoded(Image.fromarray(COLORS).convert("YCbCr"), "TIFF"), COLORS, 3),
    "LAB TIFF": (encoded(Image.merge("LAB", [GRAY, *[Image.new("L", (16, 16), 128)] * 2]), "TIFF"), None, 0),
    "gray": (encoded(GRAY), of_gray(GRAY), 0),
    "gray with alpha": (encoded(GRAY.convert("LA")), of_gray(GRAY), 0),
    "one bit": (encoded(Image.fromarray(np.eye(16, dtype=bool))), of_gray(np.eye(16) * 255), 0),
    "16-bit gray": (encoded(Image.fromarray(RAMP16)), of_gray(RAMP16 // 257), 0),
    "16-bit gray TIFF": (encoded(Image.fromarray(RAMP16), "TIFF"), of_gray(RAMP16 // 257), 0),
    "8 bits in 16-bit gray": (encoded(Image.fromarray(RAMP16 // 256)), of_gray(RAMP16 // 256), 0),
    "12 bits in 16-bit gray": (encoded(Image.fromarray(RAMP16 // 16)), of_gray(RAMP16 // 257), 1),
    "10 bits in 16-bit RGB": (
        cv2.imencode(".png", COLORS[:, :, ::-1].astype(np.uint16) * 4)[1].tobytes(), COLORS, 1),
    "12 bits in 16-bit RGB TIFF": (
        cv2.imencode(".tiff", COLORS[:, :, ::-1].astype(np.uint16) * 16)[1].tobytes(), COLORS, 1),
    "float TIFF, 0 to 1": (
        encoded(Image.fromarray(np.asarray(GRAY, np.float32) / 255), "TIFF"), of_gray(GRAY), 1),
    "AVIF": (good("AVIF", quality=95, subsampling="4:4:4"), COLORS, 16),
    "JPEG 2000": (good("JPEG2000"), COLORS, 0),
    "PPM": (good("PPM"), COLORS, 0),
    "16-bit RGB": (cv2.imencode(".png", COLORS[:, :, ::-1].astype(np.uint16) * 257)[1].tobytes(), COLORS, 0),
    "32-bit TIFF": (encoded(Image.fromarray(RAMP16.astype(np.int32)), "TIFF"), of_gray(RAMP16 // 257), 0),
    "float TIFF, 0 to 255": (encoded(Image.fromarray(np.asarray(GRAY, np.float32)), "TIFF"), of_gray(GRAY), 0),
    "animated GIF, the first picture": (
        encoded(GRAY, "GIF", save_all=True, append_images=[Image.new("L", (16, 16), 200)]), of_gray(GRAY), 0),
    "animated PNG": (
        encoded(Image.fromarray(COLORS), save_all=True, append_images=[Image.new("RGB", (60, 40))]), COLORS, 0),
    "one pixel": (encoded(Image.new("RGB", (1, 1), (9, 8, 7))), np.full((1, 1, 3), (9, 8, 7)), 0),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_any_colour_mode_becomes_rgb(tmp_path, case):
    data, expected, least = ODD[case]
    image = images.load_image(data)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    if expected is not None:
        assert image.shape == expected.shape
        assert np.abs(image.astype(int) - expected).max() <= least
    mislabelled = tmp_path / "face.jpg"  # the content counts, not the name
    mislabelled.write_bytes(data)
    assert (images.load_image(str(mislabelled)) == image).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture(kind, orientation):
    size = (40, 60, 3) if orientation < 5 else (60, 40, 3)
    # how each number says the upper left corner of the stored picture is to be shown
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[
        orientation
    ]
    stored = COLORS
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = images.load_image(encoded(Image.fromarray(stored), kind, exif=exif))
    assert image.shape == size
    y, x = ((0, -1)[corner[0]], (0, -1)[corner[1]])
    assert np.abs(image[y, x].astype(int) - (255, 0, 0)).max() < 12


@pytest.mark.parametrize("exif", [b"Exif\x00\x00garbage", b"Exif\x00\x00II*\x00\xff\xff\xff\xff"])
def test_broken_exif_costs_no_picture(exif):
    assert images.load_image(good("JPEG", exif=exif)).shape == (40, 60, 3)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP"]), st.data())
def test_damage_gives_a_picture_or_an_error_of_the_family(kind, data):
    whole = bytearray(good(kind))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = images.load_image(bytes(whole[: data.draw(st.integers(1, len(whole)))]))
    except FerlibError:
        return
    assert image.dtype == np.uint8 and image.ndim == 3


def test_gray_and_channel_orders_are_opencvs():
    assert (images.to_gray(COLORS) == cv2.cvtColor(COLORS, cv2.COLOR_RGB2GRAY)).all()
    gray = images.to_gray(COLORS)
    assert images.to_gray(gray) is gray
    assert images.to_bgr(COLORS)[0, 0].tolist() == [0, 0, 255]
    assert (images.to_rgb(images.to_bgr(COLORS)) == COLORS).all()


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 50), st.integers(1, 50), st.just(3))),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
)
def test_resizing_gives_the_size_asked_for_and_no_new_extremes(image, size):
    out = images.resize(image, size)
    assert out.shape == (size[1], size[0], 3) and out.dtype == np.uint8
    assert image.min() <= out.min() and out.max() <= image.max()


def test_shrinking_averages_areas():
    checks = (np.indices((96, 96)).sum(axis=0) % 2 * 200).astype(np.uint8)
    assert set(np.unique(images.resize(checks, (48, 48)))) == {100}
    face = images.face_input(np.repeat(checks[:, :, None], 3, axis=2))
    assert face.shape == (48, 48) and face.dtype == np.uint8 and set(np.unique(face)) == {100}
    assert images.face_input(checks, 24).shape == (24, 24)


NO_IMAGES = {
    "a list": [[1, 2], [3, 4]],
    "None": None,
    "floats": np.zeros((4, 4, 3)),
    "four channels": np.zeros((4, 4, 4), np.uint8),
    "one channel": np.zeros((4, 4, 1), np.uint8),
    "no pixels": np.zeros((0, 4, 3), np.uint8),
    "a batch": np.zeros((2, 4, 4, 3), np.uint8),
}


@pytest.mark.parametrize("case", NO_IMAGES)
def test_what_is_no_picture_is_refused_by_every_function(tmp_path, case):
    wrong = NO_IMAGES[case]
    calls = (
        images.to_gray,
        images.to_bgr,
        images.to_rgb,
        images.face_input,
        images.encode_jpeg,
        lambda image: images.resize(image, (5, 5)),
        lambda image: images.write_image(tmp_path / "a.png", image),
    )
    for call in calls:
        with pytest.raises(ImageError):
            call(wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.png", "b c.bmp", "笑.webp", "d.jpg"])
def test_what_is_written_is_read_again_and_nothing_else_is_left(tmp_path, name):
    file = tmp_path / name
    file.write_text("an older file")
    images.write_image(file, COLORS)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert images.load_image(file).shape == COLORS.shape
    if name.endswith(("png", "bmp")):
        assert (images.load_image(file) == COLORS).all()
        images.write_image(file, images.to_gray(COLORS))
        assert (images.load_image(file)[:, :, 0] == images.to_gray(COLORS)).all()


@pytest.mark.parametrize(
    ("name", "error"), [("a.xyz", ImageError), ("a", ImageError), ("file/a.png", BadInputError)]
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, name, error):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(error, match=name.split("/")[0]):
        images.write_image(tmp_path / name, COLORS)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_keeps_the_older_file(tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    images.write_image(file, COLORS)
    before = file.read_bytes()

    def half(self, path, *_, **__):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(BadInputError, match=r"a.png: cannot be written"):
        images.write_image(file, images.to_gray(COLORS))
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_jpeg_bytes_are_a_jpeg():
    data = images.encode_jpeg(COLORS, quality=95)
    assert data[:2] == b"\xff\xd8" and Image.open(io.BytesIO(data)).format == "JPEG"
    assert np.abs(images.load_image(data).astype(int) - COLORS)[5:15, 5:25].max() < 8
    assert len(images.encode_jpeg(COLORS, quality=20)) < len(data)


HOSTILE = Path(__file__).parents[1] / "cases" / "hostile"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("eps-named.jpg", "PostScript"),
        ("png-1x24M.png", "1×24000000 pixels; the limits are 32,000 per side"),
        ("rle-delta.bmp", "24999999×1 pixels"),
        ("rle-eol.bmp", "24999999×1 pixels"),
        ("scanbomb-small.jpg", "a JPEG of 301 scans"),
    ],
)
def test_a_hostile_file_is_refused_before_it_is_decoded(monkeypatch, name, line):
    monkeypatch.setattr(Image.Image, "load", None)
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    with pytest.raises(ImageError, match=line):
        images.load_image(HOSTILE / name)


def scans(data, count):
    """A progressive JPEG with its last scan repeated."""
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def test_the_scans_of_a_jpeg_are_limited_by_count_and_by_pixels():
    large = encoded(Image.new("L", (5000, 5000)), "JPEG", progressive=True)
    assert images.load_image(scans(large, 2)).shape == (5000, 5000, 3)
    for data in (scans(large, 60), scans(good("JPEG", progressive=True), 300)):
        with pytest.raises(ImageError, match="far more than any camera writes"):
            images.load_image(data)
    assert images.load_image(scans(good("JPEG", progressive=True), 100)).shape == COLORS.shape


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (
            b"P3 1000 900 255 " + b"1 2 3 " * 900_000,
            "1000×900 pixels, more than the limit of 500,000 for PPM",
        ),
        (
            encoded(Image.new("L", (1, 100))),
            "1×100 pixels; the limits are 32,000 per side and 64 times the other",
        ),
        (encoded(Image.new("1", (40_000, 1000))), "40000×1000 pixels; the limits are 32,000 per side"),
        (b"%PDF-1.7 and more", "PDF; read are JPEG, PNG"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (b"\0\0\0\x18ftypheic" + bytes(99), r"HEIC, which needs pillow-heif: pip install 'ferlib\[heic\]'"),
        (b"\0\0\0\x18ftypisom" + bytes(99), "a video, not a picture"),
        (b"  <!DOCTYPE html><html>", "a web page, not a picture"),
    ],
)
def test_the_refusal_says_what_the_file_is(data, line, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=line):
        images.load_image(data)


@pytest.mark.parametrize("suffix", [".heic", ".heif"])
def test_heic_is_read_when_it_is_met(tmp_path, suffix):
    heif = pytest.importorskip("pillow_heif")
    colours = np.zeros((64, 96, 3), np.uint8)
    colours[:, :48], colours[:, 48:] = (200, 40, 40), (40, 60, 200)
    file = tmp_path / f"phone{suffix}"
    heif.from_bytes("RGB", (96, 64), colours.tobytes()).save(file, quality=95)
    image = images.load_image(file)
    assert image.shape == colours.shape
    assert np.abs(image[8:-8, 8:40].astype(int) - colours[0, 0]).max() < 12
    assert np.abs(image[8:-8, 56:88].astype(int) - colours[0, -1]).max() < 12
    with pytest.raises(ImageError, match="not a whole picture"):
        images.load_image(file.read_bytes()[:200])


def test_avif_is_not_taken_for_heic(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = encoded(Image.new("RGB", (64, 64), (10, 200, 10)), "AVIF")
    assert data[4:8] == b"ftyp" and images.load_image(data).shape == (64, 64, 3)


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(ImageError, match="100,000,001 bytes, more than the limit of 100,000,000"):
        images.load_image(tmp_path / "large.png")


def test_an_unusual_range_of_values_is_said(caplog, tmp_path):
    file = tmp_path / "scan.png"
    file.write_bytes(encoded(Image.fromarray(RAMP16 // 16)))
    images.load_image(file)
    assert caplog.messages == [f"{file}: its values end at 4080; they are scaled as if 4095 were white"]
    caplog.clear()
    file.write_bytes(encoded(Image.fromarray(RAMP16)))
    images.load_image(file)
    assert not caplog.messages


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_turns_as_pillow_does(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(COLORS), kind, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    np.testing.assert_array_equal(images.load_image(data), np.asarray(expected))
