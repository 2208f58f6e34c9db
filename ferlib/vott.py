"""VoTT's label files: the JSON of one picture, and the export of a whole project."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

import numpy as np
import pandas as pd

from ferlib.boxes import Box, clamp_box
from ferlib.boxtable import make_table, picture_name
from ferlib.errors import AnnotationError, LabelError
from ferlib.labels import canonical

MAX_SIDE = 1_000_000
"""A picture side beyond this many pixels is taken for a slip of the file."""


def read_vott(path: str | os.PathLike, keep_untagged: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """The boxes of a VoTT project: `(table, problems)`.

    `path` is a folder with `*-asset.json` files (or, where it has none, with a `*-export.json`, also in
    its `vott-json-export/`), one such file, or an export. Every region and every tag is read: a rectangle by
    its `boundingBox`, what has none by the hull of its `points`. Boxes are clamped to the size that the file
    gives for the picture.

    A record that cannot be used (cut off, not VoTT, a number that is none, no area, no tag, a name that
    leads outside) is left out and named in `problems`, one line each; the others are read. With
    `keep_untagged`, boxes without a tag stay, with an empty emotion. Raises AnnotationError where `path` is
    missing, has no such file, or is itself a file that is no VoTT JSON.
    """
    path = Path(path)
    files = _vott_files(path)
    table, problems, owners = [], [], {}
    for file in files:
        try:
            assets = _assets(_read_json(file), file.name)
        except AnnotationError as error:
            if file == path:
                raise
            problems.append(str(error))
            continue
        for asset in assets:
            try:
                name, size, rows = _read_asset(asset, file.name, problems, keep_untagged)
                identity = _text(asset["asset"].get("id")) or file.name
                if owners.setdefault(name, identity) != identity:
                    raise AnnotationError(f"{file.name}: a second asset named {name!r}; the first is kept")
            except AnnotationError as error:
                problems.append(str(error))
                continue
            table += [{"image": name, "image_width": size[0], "image_height": size[1], **row} for row in rows]
    return make_table(table), problems


def asset_ids(folder: str | os.PathLike) -> dict[str, str]:
    """Picture to asset id of the `*-asset.json` files in a folder, so that a picture keeps its file."""
    ids = {}
    for file in sorted(Path(folder).glob("*-asset.json")):
        try:
            for record in _assets(_read_json(file), file.name):
                ids.setdefault(_asset_name(record["asset"]), file.name.removesuffix("-asset.json"))
        except AnnotationError:
            continue  # read_vott names what is wrong with it
    return ids


def _vott_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise AnnotationError(f"{path.name}: there is no such file or folder of labels")
    for pattern in ("*-asset.json", "*-export.json", "vott-json-export/*-export.json"):
        if files := sorted(path.glob(pattern)):
            return files
    raise AnnotationError(f"{path.name}: no *-asset.json and no *-export.json in this folder")


def _read_json(file: Path) -> object:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise AnnotationError(f"{file.name}: cannot be read ({error.strerror})") from error
    try:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("gb18030")  # what a Chinese Windows writes by default
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{file.name}: not whole JSON ({error}); export it again") from error


def _assets(content: object, file_name: str) -> list[dict]:
    """The asset records of one file's content: one for a per-picture file, all for an export."""
    if isinstance(content, dict):
        if isinstance(content.get("asset"), dict):
            return [content]
        if isinstance(content.get("assets"), dict):
            return list(content["assets"].values())
    raise AnnotationError(f"{file_name}: not a VoTT file (neither 'asset' nor 'assets' in it)")


def _read_asset(record: object, file_name: str, problems: list[str], keep_untagged: bool) -> tuple:
    """(picture name, (width, height), rows) of one asset; bad regions go to `problems`."""
    asset = record.get("asset") if isinstance(record, dict) else None
    if not isinstance(asset, dict):
        raise AnnotationError(f"{file_name}: an entry of 'assets' has no 'asset'")
    try:
        name = _asset_name(asset)
    except AnnotationError as error:
        raise AnnotationError(f"{file_name}: {error}") from error
    regions = record.get("regions")
    if not isinstance(regions, list):
        raise AnnotationError(f"{file_name}: {name} has no list of 'regions'")
    size = _asset_size(asset.get("size"))
    if size is None:
        problems.append(
            f"{file_name}: {name}: {_short(asset.get('size'))} is no size; its boxes are read without one"
        )
        size = (0, 0)
    rows = []
    for number, region in enumerate(regions, start=1):
        try:
            box = _region_box(region, size)
            tags = _tags(region)
            if not tags and not keep_untagged:
                raise AnnotationError("no tag; give it one")
        except AnnotationError as error:
            problems.append(f"{file_name}: region {number} of {name}: {error}; left out")
            continue
        first = _emotion(tags[0]) if tags else ""
        rows.append(
            dict(zip(("x", "y", "width", "height"), box, strict=True), emotion=first, tags="|".join(tags))
        )
    return name, size, rows


def _asset_name(asset: dict) -> str:
    """The picture of an asset. VoTT writes `path` as `file:` and a percent-encoded path, on its own machine.

    Of an absolute path only the last part is used; one that is relative (as we write it) keeps its folders.
    """
    name = _text(asset.get("name"))
    path = _text(asset.get("path"))
    path = unquote(path[5:]) if path.startswith("file:") else path
    path = path.replace("\\", "/")
    last = path.rpartition("/")[2]
    if last and (not name or last in (name, unquote(name))):
        outside = path.startswith("/") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path)
        name = last if outside else path
    return picture_name(name)


def _asset_size(size: object) -> tuple[int, int] | None:
    """(width, height), (0, 0) where nothing is said, None where what is said cannot be a size."""
    if size is None:
        return 0, 0
    if not isinstance(size, dict):
        return None
    sides = [_number(size.get(key, 0)) for key in ("width", "height")]
    if any(side is None or side < 0 or side > MAX_SIDE for side in sides):
        return None
    return (round(sides[0]), round(sides[1])) if all(side >= 1 for side in sides) else (0, 0)


def _region_box(region: object, size: tuple[int, int]) -> Box:
    """A region's box in whole pixels, clamped; AnnotationError says what is wrong with it."""
    if not isinstance(region, dict):
        raise AnnotationError("not a region")
    box, points = region.get("boundingBox"), region.get("points")
    if isinstance(box, dict):
        values = {key: _number(box.get(key)) for key in ("left", "top", "width", "height")}
        for key, value in values.items():
            if value is None:
                raise AnnotationError(f"{key} is {_short(box.get(key))}, not a number of pixels")
        x0, y0, w, h = values.values()
    elif isinstance(points, list) and points:
        pairs = [
            (_number(p.get("x")), _number(p.get("y"))) if isinstance(p, dict) else (None, None)
            for p in points
        ]
        if any(value is None for pair in pairs for value in pair):
            raise AnnotationError("a point that is not two numbers")
        (x0, y0), (x1, y1) = np.min(pairs, axis=0), np.max(pairs, axis=0)
        w, h = x1 - x0, y1 - y0
    else:
        raise AnnotationError("neither 'boundingBox' nor 'points'")
    if w <= 0 or h <= 0:
        raise AnnotationError(f"{w:g}×{h:g} pixels, no area")
    left, top = int(np.floor(x0 + 0.5)), int(np.floor(y0 + 0.5))
    right, bottom = int(np.floor(x0 + w + 0.5)), int(np.floor(y0 + h + 0.5))
    limit = size if size[0] else (MAX_SIDE, MAX_SIDE)
    box = clamp_box((left, top, right - left, bottom - top), *limit)
    if box[2] < 1 or box[3] < 1:
        raise AnnotationError(f"the box {left},{top} {w:g}×{h:g} has no whole pixel inside the picture")
    return box


def _tags(region: dict) -> list[str]:
    """The tags that say something; the mark between joined tags cannot be part of one."""
    tags = region.get("tags")
    tags = tags if isinstance(tags, list) else []
    texts = [tag.encode(errors="replace").decode() for tag in tags if isinstance(tag, str) and tag.strip()]
    return [" ".join(text.replace("|", "/").split()) for text in texts]


def _emotion(tag: str) -> str:
    try:
        return canonical(tag)
    except LabelError:
        return tag


def _number(value: object) -> float | None:
    """A finite number as float; None for what is none (words, NaN, infinite, beyond any picture, true)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if abs(value) <= 1e12 else None  # NaN and infinity fail this too


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def write_vott(
    table: pd.DataFrame,
    folder: str | os.PathLike,
    image_sizes: Mapping[str, tuple[int, int]] | None = None,
    ids: Mapping[str, str] | None = None,
) -> list[Path]:
    """One `<id>-asset.json` a picture, as VoTT writes them; returns the files in the order of the pictures.

    `image_sizes` gives (width, height) of pictures; one that has no row in `table` is written with no region
    (looked at, no face in it). Where it is silent, the table's own sizes count. An asset's id is the MD5 of
    the picture's name, so that labelling a picture again replaces its file; `ids` (picture to id) overrides
    it. Paths are written relative to the pictures' folder, so that a project may move. Each file is written
    beside and renamed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for record in asset_records(table, image_sizes, ids):
        file = folder / f"{record['asset']['id']}-asset.json"
        _write_json(file, record)
        files.append(file)
    return files


def write_vott_export(
    table: pd.DataFrame,
    file: str | os.PathLike,
    image_sizes: Mapping[str, tuple[int, int]] | None = None,
    name: str = "faces",
) -> Path:
    """The whole table as one export, `<project>-export.json`, as VoTT's "VoTT JSON" export writes it."""
    records = asset_records(table, image_sizes)
    tags = sorted({tag for record in records for region in record["regions"] for tag in region["tags"]})
    colors = ["#5db300", "#e81123", "#6917aa", "#015cda", "#4894fe", "#fed832", "#aaaaaa"]
    content = {
        "name": name,
        "tags": [{"name": tag, "color": colors[k % len(colors)]} for k, tag in enumerate(tags)],
        "assets": {record["asset"]["id"]: record for record in records},
    }
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    _write_json(Path(file), content)
    return Path(file)


def asset_records(
    table: pd.DataFrame, image_sizes: Mapping | None = None, ids: Mapping | None = None
) -> list[dict]:
    """VoTT's record of each picture of a table, in the order in which the pictures appear."""
    sizes = {row.image: (row.image_width, row.image_height) for row in table.itertuples()}
    sizes |= dict(image_sizes or {})
    by_image = dict(list(table.groupby("image", sort=False)))
    records = []
    for image, (width, height) in sizes.items():
        name = picture_name(image)
        identity = (ids or {}).get(image) or hashlib.md5(name.encode()).hexdigest()
        if not re.fullmatch(r"[\w.-]+", identity) or identity.startswith("."):
            raise AnnotationError(f"asset id {identity!r} cannot be part of a file name")
        rows = by_image.get(image, table[:0])
        regions = [_region(row, f"{identity[:12]}-{k}") for k, row in enumerate(rows.itertuples())]
        asset = {
            "format": PurePosixPath(name).suffix.lstrip(".").lower(),
            "id": identity,
            "name": PurePosixPath(name).name,
            "path": "file:" + quote(name),
            "size": {"width": int(width), "height": int(height)},
            "state": 2 if regions else 1,  # VoTT: 1 visited, 2 tagged
            "type": 1,  # a picture
        }
        records.append({"asset": asset, "regions": regions, "version": "2.2.0"})
    return records


def _region(row, identity: str) -> dict:
    x, y, w, h = int(row.x), int(row.y), int(row.width), int(row.height)
    corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
    return {
        "id": identity,
        "type": "RECTANGLE",
        "tags": [tag for tag in row.tags.split("|") if tag],
        "boundingBox": {"height": h, "width": w, "left": x, "top": y},
        "points": [{"x": a, "y": b} for a, b in corners],
    }


def _write_json(file: Path, content: object) -> None:
    part = file.with_name(f".{file.name}.part")
    part.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    part.replace(file)
