"""Collect pictures: sources of addresses, a checked download, the manifest, a search site of our own.

Example:
    >>> with crawl.open_source("local", seed=7) as source:
    ...     manifest = crawl.collect_pictures(source, "faces", 120, "data/work/raw")
"""

from ferlib.common.lazy import lazy_attributes

__getattr__ = lazy_attributes(
    __name__,
    {
        ".check": "check_picture",
        ".crawler": "collect_pictures crawl_local open_source",
        ".manifest": "read_manifest",
        ".settings": "CrawlSettings Rejected",
        ".site.server": "LocalSite photo_kind photo_seed",
        ".sources.baidu": "BaiduSource",
        ".sources.local": "FolderSource ListSource",
    },
)
