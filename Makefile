# The commands of gearjobs; `make help` lists them. Everything runs in .venv, which `make setup` makes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# The extras that .venv gets: all of them, so that no test is skipped for want of a package.
EXTRAS := bench,demo,dev,metrics,mysql,postgres,speed
# What `make check` runs, besides the linters: everything that starts no process and opens no socket.
QUICK_TESTS := tests/architecture $(wildcard tests/unit tests/property)
# What goes through as many runs as it has time for. Counting lines would halve that, and every line is reached anyway.
EXPLORATIONS := tests/simulation tests/crash

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(INSTALLED) ## make .venv with the project and all its tools in it

$(INSTALLED): pyproject.toml scripts/make-venv
	@scripts/make-venv $(PYTHON) .venv '.[$(EXTRAS)]'

.PHONY: demo
demo: $(INSTALLED) ## run the album demo until Ctrl-C; ONCE=1: once through without a browser; DEMO_OPTIONS='--web-port 8080'
	@$(BIN)/python -m demo_site.rundemo $(if $(ONCE),--once) $(DEMO_OPTIONS)

.PHONY: check
check: $(INSTALLED) lint ## the quick checks (about a minute): format, lint, types, floors, architecture, unit, property
	@scripts/pytest-steadily .venv check -q $(QUICK_TESTS)

.PHONY: lint
lint: $(INSTALLED) ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(INSTALLED) ## write the files as ruff wants them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: test
test: $(INSTALLED) system-packages ## everything: the whole suite with coverage, then Django 6.1, and what differs in 6.0
	@$(BIN)/coverage erase
	@scripts/pytest-steadily .venv whole --cov --cov-report=term $(addprefix --ignore=,$(EXPLORATIONS)) $(PYTEST_OPTIONS)
	@scripts/pytest-steadily .venv explorations $(EXPLORATIONS) $(PYTEST_OPTIONS)
	@scripts/test-django61
	@scripts/test-django60

.PHONY: crash-points
crash-points: $(INSTALLED) ## lose power at 100,000 moments of a job table's life; IMAGES=n for more or fewer
	@GEARJOBS_CRASH_IMAGES=$(or $(IMAGES),100000) $(BIN)/python -m pytest -q --durations=0 tests/crash

.PHONY: gearmand-suite
gearmand-suite: $(INSTALLED) ## gearmand's own test suite against gearmand and against us (Debian, 20 minutes)
	@scripts/gearmand-suite

.PHONY: bench
bench: $(INSTALLED) system-packages ## measure beside our peers (1-2 hours); BENCH_OPTIONS="--section wire --peer 'gear*' --scale 0.1"; --write-docs
	@$(BIN)/python -m bench $(BENCH_OPTIONS)

.PHONY: chaos
chaos: $(INSTALLED) system-packages ## kill, stop, hang and fill real servers, workers and databases; CHAOS_OPTIONS='--seconds 60'
	@$(BIN)/python -m tests.chaos $(CHAOS_OPTIONS)

.PHONY: all
all: check test wheel ## check, test and wheel

.PHONY: simulate
simulate: $(INSTALLED) ## run the simulated job servers: SEEDS=100000, FIRST=0; or SEED=4711 to look at one run
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),20000) --first $(or $(FIRST),0))

.PHONY: wheel
wheel: $(INSTALLED) ## build the wheel and the source archive in dist/
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist .

.PHONY: wheel-compiled
wheel-compiled: $(INSTALLED) ## build the wheel with protocol/ and core/ compiled (needs a C compiler), install it in .venv-compiled
	@scripts/build-compiled-wheel

.PHONY: test-compiled
test-compiled: wheel-compiled ## run the tests of protocol/ and core/, the simulation and a real server over the compiled wheel
	@scripts/test-compiled $(PYTEST_OPTIONS)

.PHONY: system-packages
system-packages: ## as root on Debian: install the programs that the tests talk to
	@scripts/install-system-packages

.PHONY: clean
clean: ## remove what tools and tests made; .venv and the demo's data stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache var/coverage var/screenshots
	find gearjobs demo_site tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## remove .venv and the demo's data, too
	rm -rf .venv .venv-compiled .venv-django60 .venv-django61 var *.egg-info
