"""VoTT's label files: the JSON of one picture, and the export of a whole project."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

import pandas as pd

from ferlib.annotate.formats.fields import (
    box_of,
    box_row,
    clean_tags,
    hull,
    picture_size,
    pixels,
    read_json,
    short,
    text_of,
    untagged_row,
    write_json,
)
from ferlib.annotate.table import make_table, picture_name
from ferlib.common.boxes import Box
from ferlib.common.errors import AnnotationError

NOTES = ("reviewed", "excluded")
"""The keys of our own that a picture's asset may have."""


def read_vott(
    path: str | os.PathLike, keep_untagged: bool = False, keep_excluded: bool = False
) -> tuple[pd.DataFrame, list[str]]:
    """The boxes of a VoTT project: `(table, problems)`.

    `path` is a folder with `*-asset.json` files (or, where it has none, with a `*-export.json`, also in
    its `vott-json-export/`), one such file, or an export. Every region and every tag is read: a rectangle by
    its `boundingBox`, what has none by the hull of its `points`. Boxes are clamped to the size that the file
    gives for the picture.

    A record that cannot be used (cut off, not VoTT, a number that is none, no area, no tag, a name that
    leads outside) is left out and named in `problems`, one line each; the others are read. With
    `keep_untagged`, boxes without a tag stay, with an empty emotion. A picture that a person excluded in our
    labeller has no rows, and no line, unless `keep_excluded`. Raises AnnotationError where `path` is missing,
    has no such file, or is itself a file that is no VoTT JSON.
    """
    path = Path(path)
    files = _vott_files(path)
    table, problems, owners = [], [], {}
    for file in files:
        try:
            assets = _assets(read_json(file), file.name)
        except AnnotationError as error:
            if file == path:
                raise
            problems.append(str(error))
            continue
        for asset in assets:
            try:
                if not keep_excluded and _excluded(asset):
                    continue
                name, rows = _read_asset(asset, file.name, problems, keep_untagged)
                identity = text_of(asset["asset"].get("id")) or file.name
                if owners.setdefault(name, identity) != identity:
                    raise AnnotationError(f"{file.name}: a second asset named {name!r}; the first is kept")
            except AnnotationError as error:
                problems.append(str(error))
                continue
            table += rows
    return make_table(table), problems


def asset_ids(folder: str | os.PathLike) -> dict[str, str]:
    """Picture to asset id of the `*-asset.json` files in a folder, so that a picture keeps its file."""
    ids = {}
    for file, record in _readable(folder):
        ids.setdefault(_asset_name(record["asset"]), file.name.removesuffix("-asset.json"))
    return ids


def asset_notes(folder: str | os.PathLike) -> dict[str, dict[str, bool]]:
    """Picture to what our labeller noted in its `*-asset.json`: `reviewed` (a person has said that it is
    done), `excluded` (a person has taken it out); empty where it is not ours.
    """
    notes = {}
    for _, record in _readable(folder):
        asset = record["asset"]
        notes.setdefault(_asset_name(asset), {key: asset[key] is True for key in NOTES if key in asset})
    return notes


def _readable(folder: str | os.PathLike) -> Iterator[tuple[Path, dict]]:
    """The per-picture files that can be read; read_vott names what is wrong with the others."""
    for file in sorted(Path(folder).glob("*-asset.json")):
        try:
            for record in _assets(read_json(file), file.name):
                _asset_name(record["asset"])
                yield file, record
        except (AnnotationError, KeyError, TypeError):
            continue


def _vott_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise AnnotationError(f"{path.name}: there is no such file or folder of labels")
    for pattern in ("*-asset.json", "*-export.json", "vott-json-export/*-export.json"):
        if files := sorted(path.glob(pattern)):
            return files
    raise AnnotationError(f"{path.name}: no *-asset.json and no *-export.json in this folder")


def _assets(content: object, file_name: str) -> list[dict]:
    """The asset records of one file's content: one for a per-picture file, all for an export."""
    if isinstance(content, dict):
        if isinstance(content.get("asset"), dict):
            return [content]
        if isinstance(content.get("assets"), dict):
            return list(content["assets"].values())
    raise AnnotationError(f"{file_name}: not a VoTT file (neither 'asset' nor 'assets' in it)")


def _excluded(record: object) -> bool:
    asset = record.get("asset") if isinstance(record, dict) else None
    return isinstance(asset, dict) and asset.get("excluded") is True


def _read_asset(record: object, file_name: str, problems: list[str], keep_untagged: bool) -> tuple:
    """(picture name, rows of the table) of one asset; bad regions go to `problems`."""
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
    size = asset.get("size") or {}
    size = picture_size(size.get("width"), size.get("height")) if isinstance(size, dict) else None
    if size is None:
        problems.append(
            f"{file_name}: {name}: {short(asset.get('size'))} is no size; its boxes are read without one"
        )
        size = (0, 0)
    rows = []
    for number, region in enumerate(regions, start=1):
        try:
            box, tags = _region_box(region, size), clean_tags(region.get("tags"))
            bare = keep_untagged and not tags
            rows.append(untagged_row(name, size, box) if bare else box_row(name, size, box, tags))
        except AnnotationError as error:
            problems.append(f"{file_name}: region {number} of {name}: {error}; left out")
    return name, rows


def _asset_name(asset: dict) -> str:
    """The picture of an asset. VoTT writes `path` as `file:` and a percent-encoded path, on its own machine.

    Of an absolute path only the last part is used; one that is relative (as we write it) keeps its folders.
    """
    name = text_of(asset.get("name"))
    path = text_of(asset.get("path"))
    path = unquote(path[5:]) if path.startswith("file:") else path
    path = path.replace("\\", "/")
    last = path.rpartition("/")[2]
    if last and (not name or last in (name, unquote(name))):
        outside = path.startswith("/") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path)
        name = last if outside else path
    return picture_name(name)


def _region_box(region: object, size: tuple[int, int]) -> Box:
    """A region's box in whole pixels, clamped; AnnotationError says what is wrong with it."""
    if not isinstance(region, dict):
        raise AnnotationError("not a region")
    box, points = region.get("boundingBox"), region.get("points")
    if isinstance(box, dict):
        return box_of(*pixels(box, "left", "top", "width", "height"), size)
    if isinstance(points, list) and points:
        return box_of(
            *hull([(p.get("x"), p.get("y")) if isinstance(p, dict) else (None, None) for p in points]), size
        )
    raise AnnotationError("neither 'boundingBox' nor 'points'")


def write_vott(
    table: pd.DataFrame,
    folder: str | os.PathLike,
    image_sizes: Mapping[str, tuple[int, int]] | None = None,
    ids: Mapping[str, str] | None = None,
    notes: Mapping[str, Mapping] | None = None,
) -> list[Path]:
    """One `<id>-asset.json` a picture, as VoTT writes them; returns the files in the order of the pictures.

    `image_sizes` gives (width, height) of pictures; one that has no row in `table` is written with no region
    (looked at, no face in it). Where it is silent, the table's own sizes count. An asset's id is the MD5 of
    the picture's name, so that labelling a picture again replaces its file; `ids` (picture to id) overrides
    it. `notes` adds keys of our own to a picture's asset, which VoTT passes over (see `asset_notes`). Paths
    are written relative to the pictures' folder, so that a project may move. A region is written as a
    rectangle: of a polygon that was read, its bounding box. Each file is written beside and renamed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for record in asset_records(table, image_sizes, ids, notes):
        file = folder / f"{record['asset']['id']}-asset.json"
        write_json(file, record)
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
    write_json(Path(file), content)
    return Path(file)


def asset_records(
    table: pd.DataFrame,
    image_sizes: Mapping | None = None,
    ids: Mapping | None = None,
    notes: Mapping | None = None,
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
            **{key: value for key, value in (notes or {}).get(image, {}).items() if key in NOTES},
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
