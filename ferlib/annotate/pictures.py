r"""Names of pictures: the path that a labelling tool recorded, and the file of a folder that it means.

A *recorded path* is what a label file has, without scheme, drive and query. It begins with `/` if the tool wrote
a place of its own machine or server (`C:\pics\sub\a.jpg`, `s3://bucket/sub/a.jpg`); else it is relative.
"""

import os
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, unquote_plus

from ferlib.common.errors import AnnotationError

_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded picture."""

_FRAME = re.compile(r"^(?P<video>.+)#t=(?P<seconds>[0-9.]+)$")
"""VoTT's name of a frame of a video."""


_MAX_FOLDERS = 100

_Rank = tuple[bool, bool, int]
"""How well a file fits a recorded path; larger ones fit better: (whether the path was taken as it is, whether the
whole path fits, how many parts from the end fit)."""


class RecordedPaths(dict[str, str]):
    """Picture name to recorded path, in `attrs["recorded_paths"]` of a table of boxes; it is never changed."""

    def __deepcopy__(self, memo: dict) -> "RecordedPaths":
        """Return itself: pandas copies the attributes with each selection, group by group."""
        return self


def clean_image_name(text: str) -> str:
    r"""Normalise the name of a picture inside its folder.

    Args:
        text: The name; `\` is read as `/`.

    Returns:
        The name with `/` between folders.

    Raises:
        AnnotationError: The name is empty, leads outside the folder, or cannot be a file name.
    """
    name = str(text).replace("\\", "/")
    for form in (name, unquote(name)):  # `..%2F` is refused as well
        parts = PurePosixPath(form.replace("\\", "/")).parts
        if ".." in parts or form.startswith("/") or re.match(r"[A-Za-z]:", form) or "\0" in form:
            raise AnnotationError(f"picture name {text!r} leads outside the folder; give a name inside it")
    if name.encode(errors="replace").decode() != name:
        raise AnnotationError(f"picture name {text!r} has characters that no file name can have")
    name = str(PurePosixPath(name)) if name.strip() else "."
    if name == ".":
        raise AnnotationError(f"picture name {text!r} is empty")
    return name


def recorded_path(text: str, climbing: bool = False) -> str:
    r"""Normalise the path or address of a picture that a labelling tool wrote on its own machine.

    Args:
        text: The path or address: a POSIX or Windows path, `file:`, `s3://` or `https://` with percent-encoding, or
            Label Studio's `/data/local-files/?d=…`.
        climbing: Whether the tool writes paths relative to its label file, which may begin with `..`.

    Returns:
        The recorded path; it begins with `/` if it is absolute.

    Raises:
        AnnotationError: The path is empty, a relative one leads outside the folder, or it cannot be a file name.
    """
    path = text.replace("\\", "/")
    absolute = False
    if "/local-files/?d=" in path:  # the path below the server's own root
        absolute, path = True, unquote_plus(re.split("[&#]", path.partition("?d=")[2])[0])
    elif "://" in path:
        absolute, path = True, unquote(re.split(r"\?|#(?!t=)", path.partition("://")[2])[0])
    elif path.startswith("file:"):
        path = unquote(path[5:]).replace("\\", "/")
    if drive := re.match(r"/*[A-Za-z]:(?=/|[^/]*$)", path):
        absolute, path = True, path[drive.end() :]
    while climbing and path.startswith(("../", "./")):
        absolute, path = True, path.partition("/")[2]
    if absolute or path.startswith("/"):
        inside = posixpath.normpath("/" + path.lstrip("/")).lstrip("/")
        if inside.count("/") > _MAX_FOLDERS:
            raise AnnotationError(f"picture name with {inside.count('/')} folders, more than {_MAX_FOLDERS}")
        return "/" + clean_image_name(inside)
    return clean_image_name(path)


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Name pictures without the folders of the machine on which they were labelled.

    Args:
        paths: Recorded paths.

    Returns:
        Recorded path to name: a relative path as it is; of an absolute one the last part, with as many folders as
        tell it from the others.
    """
    names = {path: path for path in paths if not path.startswith("/")}
    tails = {path: _tails(path) for path in paths if path.startswith("/")}
    while tails:
        count = Counter([*names.values(), *(each[0] for each in tails.values())])
        done = [path for path, each in tails.items() if count[each[0]] == 1 or len(each) == 1]
        names |= {path: tails.pop(path)[0] for path in done}
        tails = {path: each[1:] for path, each in tails.items()}
    return names


def short_name(path: str) -> str:
    """Name a picture for a message.

    Args:
        path: Its recorded path.

    Returns:
        A relative path as it is, of an absolute one the last part.
    """
    return _tails(path)[0] if path.startswith("/") else path


def _tails(path: str) -> list[str]:
    """List the tails of an absolute recorded path from the shortest to the whole one."""
    parts = path.strip("/").split("/")
    tails = ["/".join(parts[-k:]) for k in range(1, len(parts) + 1)]
    without = _UPLOAD_PREFIX.sub("", tails[0])
    return [without, *tails] if "/upload/" in path and without != tails[0] else tails


def find_pictures(paths: Iterable[str], folder: str | os.PathLike) -> dict[str, str | AnnotationError]:
    """Find the files that recorded paths mean: the longest tail of each path that exists below the folder.

    A path that is wholly a tail of a file's path (`a.jpg` of `sub/a.jpg`) fits as well, if only one does. The path
    is tried as it is, percent-decoded, as a saved frame of a video, and without Label Studio's prefix of uploads.
    There is no guess: if several files fit a path equally well, or several paths a file, none is taken.

    Args:
        paths: Recorded paths.
        folder: The folder of the pictures.

    Returns:
        Recorded path to the name of the file inside the folder, or to the reason why there is none.
    """
    folder, paths = Path(folder), list(dict.fromkeys(paths))
    above = _parts(folder.resolve().as_posix().strip("/"))
    result: dict[str, str | AnnotationError] = dict.fromkeys(paths, "")
    missing = []
    claims: dict[str, list[tuple[_Rank, str]]] = defaultdict(list)
    for path in paths:
        try:
            if path.startswith("/") or not (clean_image_name(path) and (folder / path).is_file()):
                missing.append(path)
            else:
                claims[path].append(((True, True, path.count("/") + 1), path))
        except AnnotationError as error:
            result[path] = error
        except OSError as error:
            result[path] = AnnotationError(f"the picture cannot be opened ({error.strerror})")
    files = _list_files(folder, missing)
    for path in missing:
        try:
            name, rank = _find(path, files, above)
            claims[name].append((rank, path))
        except AnnotationError as error:
            result[path] = error
    for name, claim in claims.items():
        best = max(rank for rank, _ in claim)
        first = [path for rank, path in claim if rank == best]
        reason = (
            f"{name} could be {len(first)} pictures of the labels ({', '.join(first[:3])}); "
            "keep the folders in which they were labelled"
        )
        for path in first:
            result[path] = name if len(first) == 1 else AnnotationError(reason)
        reason = f"{name} is another recorded picture, whose path fits better"
        result |= {path: AnnotationError(reason) for rank, path in claim if rank < best}
    return result


def _forms(path: str) -> list[tuple[bool, str]]:
    """List the forms of a path: (whether it is as recorded, the form), the best one first."""
    plain = path.lstrip("/")
    forms = [plain, unquote(plain)]
    if _FRAME.match(plain):
        forms += [form + suffix for form in forms for suffix in (".jpg", ".jpeg", ".png")]
    head, slash, last = forms[1].rpartition("/")
    stripped = _UPLOAD_PREFIX.sub("", last)
    kept = [(True, form) for form in dict.fromkeys(forms)]
    return [*kept, (False, head + slash + stripped)] if stripped != last else kept


def _parts(path: str) -> list[str]:
    """Split a path; macOS decomposes letters such as ä (NFD), other systems do not."""
    return unicodedata.normalize("NFC", path).split("/")


def _list_files(folder: Path, paths: Iterable[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """List the files below a folder whose names are asked for: by their path inside it, and by its last part."""
    asked = {_parts(form)[-1] for path in paths for _, form in _forms(path)}
    by_path: dict[str, list[str]] = defaultdict(list)
    by_last: dict[str, list[str]] = defaultdict(list)
    for root, folders, names in os.walk(folder) if asked else ():
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if (last := _parts(name)[-1]) in asked:
                file = (Path(root) / name).relative_to(folder).as_posix()
                by_path["/".join(_parts(file))].append(file)
                by_last[last].append(file)
    return by_path, by_last


def _find(
    path: str, files: tuple[dict[str, list[str]], dict[str, list[str]]], above: list[str]
) -> tuple[str, _Rank]:
    """Find the file of a recorded path that is not simply there, and how well it fits.

    `above` are the parts of the folder's own path.
    """
    by_path, by_last = files
    relative = not path.startswith("/")
    for as_recorded, form in _forms(path):
        parts = _parts(form)
        names = by_path.get("/".join(parts), [])
        if not names and relative:
            names = [name for name in by_last.get(parts[-1], []) if _parts(name)[-len(parts) :] == parts]
        tails = ("/".join(parts[k:]) for k in range(1, len(parts)))
        names = names or next((by_path[tail] for tail in tails if tail in by_path), [])
        if len(names) > 1:
            raise AnnotationError(
                f"{len(names)} pictures fit {form} equally well ({', '.join(sorted(names)[:3])}); "
                "give --images the folder in which they were labelled"
            )
        if names:
            pairs = zip(reversed(parts), reversed([*above, *_parts(names[0])]), strict=False)
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            return names[0], (as_recorded, relative and shared == len(parts), shared)
    if frame := _FRAME.match(short_name(path)):
        raise AnnotationError(
            f"a frame of the video {frame['video']} at {frame['seconds']} s; "
            f"save it as {short_name(path)}.jpg among the pictures (VoTT's export does)"
        )
    raise AnnotationError("no such picture in the folder; was it renamed or not downloaded?")
