"""Download FER2013 from Kaggle, on request only, with `kagglehub`, an optional package."""

from pathlib import Path

from ferlib.common.errors import FerlibError, check_choice
from ferlib.dataset.build import find_csv

CONTEST = "challenges-in-representation-learning-facial-expression-recognition-challenge"
SOURCES = {
    "contest": f"https://www.kaggle.com/c/{CONTEST}",
    "mirror": "https://www.kaggle.com/datasets/msambare/fer2013",
}
"""`contest`: icml_face_data.csv, all three parts; needs an account that has accepted the contest's rules.
`mirror`: class folders `train/` and `test/` (PublicTest and PrivateTest together), open to all."""


def fetch_fer2013(source: str = "contest") -> Path:
    """Download FER2013 to kagglehub's cache; what the cache has is not downloaded again.

    Args:
        source: A key of SOURCES.

    Returns:
        A CSV or a folder of class folders, for `build.read_data`.

    Raises:
        FerlibError: kagglehub is not installed, there is no connection, Kaggle refuses, or what it sends
            is not FER2013; the message says what to do.
    """
    check_choice("source of FER2013", source, SOURCES)
    by_hand = f"or download it by hand from {SOURCES[source]} and give its path with --data"
    try:
        import kagglehub
    except ImportError as error:
        raise FerlibError(f"kagglehub is not installed: pip install 'ferlib[fetch]', {by_hand}") from error
    try:
        if source == "contest":
            folder = Path(kagglehub.competition_download(CONTEST))
        else:
            folder = Path(kagglehub.dataset_download("msambare/fer2013"))
    except Exception as error:  # from requests, Kaggle and the disk, without a common base class
        raise FerlibError(f"FER2013 could not be downloaded: {_reason(error)}; {by_hand}") from error
    found = find_csv(folder)
    if found is None and not (folder / "train").is_dir():
        raise FerlibError(f"what Kaggle sent ({folder}) is not FER2013 in a known form; {by_hand}")
    return found or folder


def _reason(error: Exception) -> str:
    """What went wrong, with what to do where the user can do something."""
    import requests

    if isinstance(error, (requests.ConnectionError, requests.Timeout)):
        return "no connection to kaggle.com"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403) or type(error).__name__ in ("CredentialError", "UnauthenticatedError"):
        return (
            "Kaggle requires an account; accept the rules on its page, create a token in your settings there "
            "and store it where kagglehub looks (kagglehub.login())"
        )
    return f"{type(error).__name__}: {error}"
