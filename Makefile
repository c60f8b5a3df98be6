# Each target works from nothing: Python 3.11 or newer and make are all that a machine needs.
PYTHON ?= python3
PYTEST_ARGS ?=
QUICKSTART_ARGS ?=

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help quickstart test test-all test-oldest lint format

# Two workers or more, one torch thread each: faster than one process with many threads on models this small.
PYTEST = .venv/bin/python -m pytest -q -n logical --maxprocesses 8 --dist loadfile
LINTED = src tests docs $(wildcard benchmarks) $(wildcard scripts)

help:
	@echo "make quickstart   a useful model, three proofs and a page, four minutes on two cores; QUICKSTART_ARGS='--minutes 30'"
	@echo "make test         the tests that take seconds each; GROUNDUP_DATA=/folder runs them on the real files too"
	@echo "make test-all     every test, the slow ones and those for a GPU where there is one included"
	@echo "make test-oldest  the comparisons with transformers, with the oldest release of it that they hold for"
	@echo "make lint         check style with ruff;  make format  repairs what it can"
	@echo "PYTHON=python3.12 chooses the Python that .venv is made with; 3.11 or newer"

# jieba tells where Chinese words end; all else runs with the core alone.
quickstart: .venv/.installed-core
	.venv/bin/python -m pip install --quiet --editable '.[chinese]'
	.venv/bin/groundup quickstart $(QUICKSTART_ARGS)

test: .venv/.installed-test
	$(PYTEST) -m "not slow and not gpu" $(PYTEST_ARGS)

test-all: .venv/.installed-test
	$(PYTEST) $(PYTEST_ARGS)

test-oldest: .venv-oldest/.installed
	.venv-oldest/bin/python -m pytest -q -n logical --maxprocesses 8 --dist loadfile -m "not slow and not gpu" $(PYTEST_ARGS) tests/parity

lint: .venv/.installed-test
	.venv/bin/ruff check $(LINTED)
	.venv/bin/ruff format --check $(LINTED)

format: .venv/.installed-test
	.venv/bin/ruff check --fix $(LINTED)
	.venv/bin/ruff format $(LINTED)

.venv/bin/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "make: no $(PYTHON) here; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"make: groundup needs Python 3.11 or newer, {sys.executable} is {v[0]}.{v[1]}; name another: make PYTHON=python3.12")'
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; echo "make: $(PYTHON) cannot make .venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

# torch goes first and by its range, so that no other package can pull in one that we do not support.
.venv/.installed-core: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet 'torch>=2.11,<2.14'
	.venv/bin/python -m pip install --quiet --editable .
	@touch $@

.venv/.installed-test: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet 'torch>=2.11,<2.14'
	.venv/bin/python -m pip install --quiet --editable '.[test]'
	@touch $@ .venv/.installed-core

# The lower bound of the extra `interop` in pyproject.toml.
.venv-oldest/.installed: pyproject.toml | .venv/bin/python
	.venv/bin/python -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet 'torch>=2.11,<2.14'
	.venv-oldest/bin/python -m pip install --quiet --editable '.[test]' "transformers==$$(sed -n 's/^interop = .*>=\([0-9.]*\),.*/\1/p' pyproject.toml).0"
	@touch $@
