# `make demo` and `make test` are all a newcomer needs; each makes .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# As many processes as cores, four at most: each takes 1 to 2 GB. Tiny nets gain nothing from more threads in each.
# Files in the order of tests/conftest.py, the slow ones first: by default those with few tests, long or not, come last.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The tests start many processes that load the same modules: each is compiled once, also where the user's shell says not to.
unexport PYTHONDONTWRITEBYTECODE

# Damaged and crafted files through the commands: about half an hour of one core.
FUZZ_CASES ?= 2000

.PHONY: demo test test-fast fuzz lint docs format install clean

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/assay demo

test: $(STAMP)
	$(PYTEST)

test-fast: $(STAMP)
	$(PYTEST) -m "not slow and not needs_media"

fuzz: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks fuzz --cases $(FUZZ_CASES) --seed 0

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright
	$(BIN)/python docs/make_cli.py --check

docs: $(STAMP)
	$(BIN)/python docs/make_cli.py

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo-out .pytest_cache .ruff_cache .import_linter_cache
