"""Notebook widgets: thin ipywidgets around the functions of ferlib."""
