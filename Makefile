# `make run` and `make test` do everything on a fresh machine: see README.md.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The first Python on the path that is new enough and not too new; `make PYTHON=/path/to/python3.12` names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
APT_LINE := sudo apt-get install -y libgl1 libglib2.0-0 libxcb1
export PYTHONWARNINGS := ignore

.PHONY: run check fast lint test lab notebooks bench soak wheel clean lock

run: $(READY)
	$(BIN)/ferlib run --data "$(DATA)" $(if $(CLASSES),--classes "$(CLASSES)") $(if $(NETWORK),--network "$(NETWORK)") $(if $(EPOCHS),--epochs "$(EPOCHS)")

# Style, imports, types, docstrings, and the tests that need neither TensorFlow nor a browser: about a minute.
check: $(READY)
	$(MAKE) -j 2 lint fast

fast: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not heavy" $(ARGS)

test: $(READY) lint
	$(BIN)/python -m pytest -q -n 2 --dist worksteal $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check ferlib tests conftest.py
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

lab: $(READY)
	$(BIN)/jupyter lab notebooks

notebooks: $(READY)
	$(BIN)/python tests/tools/refresh_notebooks.py $(ONLY)

bench: $(READY)
	$(BIN)/python tests/tools/bench.py
	$(BIN)/python tests/tools/bench_crop.py
	$(BIN)/python tests/tools/bench_crawl.py speed
	$(BIN)/python tests/tools/bench_litert.py
	$(BIN)/python tests/tools/bench_live.py

# Heavy ones: a long film, 2,500 good and bad requests from 64 clients, thousands of mutated files.
soak: $(READY)
	$(BIN)/python tests/tools/bench_live.py soak
	$(BIN)/python tests/tools/soak_server.py
	$(BIN)/python tests/tools/fuzz_annotations.py 3000
	$(BIN)/python tests/tools/fuzz_datasets.py

# Builds dist/ferlib-….whl and tries it in an empty environment without TensorFlow.
wheel: $(READY)
	$(BIN)/python tests/tools/wheel.py

clean:
	rm -rf data/work models/work

# Rewrites requirements.lock and the pip section of environment.yml from pyproject.toml (needs uv).
lock: $(READY)
	$(BIN)/python tests/tools/lock.py

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 with venv found: install one, or name it with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -c 'import cv2' || { echo "OpenCV lacks shared libraries. On Debian and Ubuntu: $(APT_LINE)" >&2; exit 1; }
	@touch $@
