"""Collect pictures: sources of addresses, a checked download, the manifest, a search site of our own.

Example:
    >>> with crawl.open_source("local", seed=7) as source:
    ...     manifest = crawl.collect_pictures(source, "faces", 120, "data/work/raw")
"""

from ferlib.crawl.check import check_picture
from ferlib.crawl.crawler import collect_pictures, crawl_local, open_source
from ferlib.crawl.manifest import read_manifest
from ferlib.crawl.settings import CrawlSettings, Rejected
from ferlib.crawl.site.server import LocalSite, photo_kind, photo_seed
from ferlib.crawl.sources.baidu import BaiduSource
from ferlib.crawl.sources.local import FolderSource, ListSource

__all__ = [
    "BaiduSource",
    "CrawlSettings",
    "FolderSource",
    "ListSource",
    "LocalSite",
    "Rejected",
    "check_picture",
    "collect_pictures",
    "crawl_local",
    "open_source",
    "photo_kind",
    "photo_seed",
    "read_manifest",
]
