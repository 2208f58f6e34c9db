"""Get FER2013 from Kaggle, on request only: by `kagglehub`, a package that need not be there."""

from pathlib import Path

from ferlib.common.errors import BadInputError, FerlibError
from ferlib.dataset.build import find_csv

CONTEST = "challenges-in-representation-learning-facial-expression-recognition-challenge"
SOURCES = {
    "contest": f"https://www.kaggle.com/c/{CONTEST}",
    "mirror": "https://www.kaggle.com/datasets/msambare/fer2013",
}
"""`contest`: icml_face_data.csv, all three parts; needs an account that has accepted the contest's rules.
`mirror`: class folders `train/` and `test/` (PublicTest and PrivateTest together), open to all."""


def fetch_fer2013(source: str = "contest") -> Path:
    """Where FER2013 lies after it was fetched, in kagglehub's cache: a CSV, or a folder of class folders.

    For `dataset.read_data`. What the cache holds is not fetched again. Raises BadInputError for an unknown
    source and FerlibError, with what to do, without the package, a network or Kaggle's leave.
    """
    if source not in SOURCES:
        raise BadInputError(f"unknown source {source!r} of FER2013; known are {', '.join(SOURCES)}")
    by_hand = f"or get it by hand from {SOURCES[source]} and give its path with --data"
    try:
        import kagglehub
    except ImportError as error:
        raise FerlibError(f"kagglehub is not installed: pip install kagglehub, {by_hand}") from error
    try:
        if source == "contest":
            folder = Path(kagglehub.competition_download(CONTEST))
        else:
            folder = Path(kagglehub.dataset_download("msambare/fer2013"))
    except Exception as error:  # requests', Kaggle's and the disk's, each of a family of its own
        raise FerlibError(f"FER2013 could not be fetched: {_reason(error)}; {by_hand}") from error
    found = find_csv(folder)
    if found is None and not (folder / "train").is_dir():
        raise FerlibError(f"what Kaggle sent ({folder}) is not FER2013 as it is known here; {by_hand}")
    return found or folder


def _reason(error: Exception) -> str:
    """What went wrong, in words that say what to do."""
    import requests

    if isinstance(error, (requests.ConnectionError, requests.Timeout)):
        return "no connection to kaggle.com"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403) or type(error).__name__ in ("CredentialError", "UnauthenticatedError"):
        return (
            "Kaggle wants to know who asks; accept the rules on its page, make a token in your settings there "
            "and keep it where kagglehub looks (kagglehub.login())"
        )
    return f"{type(error).__name__}: {error}"
