"""The commands of `ferlib`, by what they work on; `ferlib.cli` puts them together."""
