"""Thin helpers for the facial expression notebooks; importing this package does nothing else."""

__version__ = "0.1.0"
