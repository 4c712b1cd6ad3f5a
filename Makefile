# Every target sets up what it needs, so each works as the first command on a fresh clone.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# 106: names are imported where they read better. 127: httpx2 is accepted, httpx is the base. 900: a provider's raw stream
# is an async generator by contract. 910 to 913 forbid the fast path of a stream: to wait only where one must.
NOT_ASKED := ASYNC106,ASYNC127,ASYNC900,ASYNC910,ASYNC911,ASYNC912,ASYNC913
.DEFAULT_GOAL := help
SECONDS ?= 120
ON ?= 3.11
DEPS ?= newest
.PHONY: help install demo test lint format type pytest cov fuzz bench soak reference docs build wheel wheel-test matrix sim clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "headrace needs Python 3.11 or newer: $(PYTHON) was not found; try 'make PYTHON=python3 ...'"; exit 1; }
	@echo "setting up $(VENV): a minute or two, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev --group witness
	@touch $@

install: $(STAMP) ## make .venv with the package (editable) and all that development needs

demo: $(STAMP) ## four providers stream at once, break, and lose nothing (no key, no network)
	$(BIN)/python -m headrace demo

test: lint type pytest ## lint, types and all tests

lint: $(STAMP) ## ruff, flake8-async, and the layers of the design
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/flake8-async --anyio --disable=$(NOT_ASKED) $$(git ls-files --cached --others --exclude-standard 'src/*.py' 'examples/*.py')
	$(BIN)/lint-imports --no-cache

format: $(STAMP) ## rewrite in the house format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

type: $(STAMP) ## mypy --strict, and what pyright makes of the public types
	$(BIN)/mypy src tests/typing examples
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/pyright tests/typing examples
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/pyright --verifytypes headrace --ignoreexternal | grep -F 'score: 100%'

pytest: $(STAMP) ## the tests alone, on all cores (at most four)
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal

cov: $(STAMP) ## branch coverage of the tests
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage report --skip-covered

fuzz: $(STAMP) ## hostile input to every decoder for SECONDS=120; what breaks one is kept in .fuzz
	@$(BIN)/python -m pip install --quiet --only-binary atheris --group fuzz || echo "there is no atheris for this Python"
	$(BIN)/python -m tests.fuzz $(SECONDS)

soak: $(STAMP) ## a thousand streams at once that break, end and are left: two minutes
	$(BIN)/python -m benchmarks.soak

bench: $(STAMP) ## measure everything; writes benchmarks/results, docs/benchmarks.md and its plots
	@$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks

reference: $(STAMP) ## rewrite docs/reference/providers.md from the code
	$(BIN)/python docs/make_providers.py

docs: $(STAMP) ## the documentation as a site, in site/; a broken link or anchor fails
	@$(BIN)/python -m pip install --quiet --group docs
	$(BIN)/mkdocs build --strict

build: $(STAMP) ## wheel and sdist, once, into dist/; what is in them is checked
	@rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m release.contents dist

wheel: build ## the built wheel in a new environment: a program of somebody else's, its types, the tests that are quick
	$(BIN)/python -m release.wheel_test --consumer --quick

wheel-test: build ## all tests against the built wheel, without src/; ON=python3.12 DEPS=lowest choose another Python, versions
	$(BIN)/python -m release.wheel_test --python $(ON) --versions $(DEPS)

matrix: build ## the same for 3.11, 3.12 and 3.13 with the newest versions, and 3.11 with the lowest: about an hour
	$(BIN)/python -m release.wheel_test --consumer --python 3.11 --python 3.12 --python 3.13 --versions newest
	$(BIN)/python -m release.wheel_test --python 3.11 --versions lowest

sim: $(STAMP) ## the simulator on port 8400, for any client
	$(BIN)/python -m headrace sim --port 8400

clean: ## remove what the other targets made
	rm -rf $(VENV) .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz .coverage htmlcov dist build site
