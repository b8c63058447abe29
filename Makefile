# Everything runs inside .venv; nothing outside this folder is touched,
# except that the page tests install Debian's chromium when there is none.
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.8
LOCK := requirements.lock

# Byte code is kept, also where the shell says otherwise: without it each start compiles again what
# it imports, which takes longer than most commands.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench docs gallery lock lowest chromium clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/ready: $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "modalgap needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r $(LOCK)
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: .venv/ready  ## a first run: two small models, their gaps, and a report (2 minutes)
	$(BIN)/modalgap demo -o demo

# one process more than processors: some tests wait for processes that they start
test: .venv/ready chromium  ## every test
	$(BIN)/pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist worksteal

check: .venv/ready  ## lint, format, strict types, import layers, docs (warnings are errors)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory docs

format: .venv/ready  ## let ruff fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready  ## time and memory against the targets, as ratios
	$(BIN)/python -m bench

docs: .venv/ready  ## the documentation, in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

# the pictures of emoji are fetched where npm is installed; without them, their studies are left out
EMOJI := $(addprefix @iconify-json/,noto twemoji openmoji fluent-emoji-flat)
gallery: .venv/ready  ## every study, and the pages docs/gallery.md and docs/reproduced.md (2 hours)
	mkdir -p gallery/data
	[ -e gallery/data/emoji ] || ! command -v npm || { \
	    npm install --prefix gallery/npm --ignore-scripts --no-audit --no-fund $(EMOJI) && \
	    $(BIN)/modalgap data emoji gallery/npm -o gallery/data/emoji; }
	MODALGAP_DATA=gallery/data $(BIN)/modalgap study all --embedded -o gallery \
	    $$([ ! -e gallery/data/emoji ] || echo --set emoji=true)
	$(BIN)/python docs/gallery.py gallery $(wildcard ../shared/data)

lock: .venv/ready  ## update the pinned versions and hashes
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-annotate \
	    --custom-compile-command "make lock" pyproject.toml --extra all --group dev -o $(LOCK)

lowest: .venv/ready  ## the commands with the oldest versions of the dependencies that are allowed
	rm -rf .venv/lowest && $(BIN)/uv venv --quiet --python $(PYTHON) .venv/lowest
	VIRTUAL_ENV=$(CURDIR)/.venv/lowest $(BIN)/uv pip install --quiet --resolution lowest-direct .
	folder=$$(mktemp -d) && .venv/lowest/bin/python tests/installed.py $$folder "" "[]"; \
	    code=$$?; rm -rf $$folder; exit $$code

chromium:
	@command -v chromium >/dev/null || { echo "installing chromium for the page tests"; \
	    SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	    $$SUDO apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }

clean:  ## remove what the targets above made
	rm -rf .venv demo gallery docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
