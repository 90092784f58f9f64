# `make` alone prints what there is. README needs two of these: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
QUIET := --quiet --disable-pip-version-check --require-hashes

.PHONY: help install demo check format lint types imports test night bench screenshots lock clean

help: ## print this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/run: requirements.lock pyproject.toml
	@echo "Making .venv and installing what Forbear runs on (about half a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit("Forbear needs Python 3.11 or later; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "This Python cannot make a virtual environment. On Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install $(QUIET) -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/run requirements-dev.lock
	@echo "Installing what the checks and tests need ..."
	@$(BIN)/python -m pip install $(QUIET) -r requirements-dev.lock
	@touch $@

install: .venv/run ## what Forbear needs, into .venv

demo: .venv/run ## the whole job on two pretend ledgers: no account, no key (ARGS="--once" ends by itself, "--keep" continues)
	@$(BIN)/forbear demo $(ARGS)

check: format lint types imports test ## all that CI runs

format: .venv/dev ## formatting is as the formatter writes it
	@$(BIN)/ruff format --check .

lint: .venv/dev ## lint
	@$(BIN)/ruff check .

types: .venv/dev ## types, strict
	@$(BIN)/mypy

imports: .venv/dev ## who may import whom
	@$(BIN)/lint-imports

test: .venv/dev ## every test; installs a browser and PostgreSQL where it may (ARGS="tests/domain" for some)
	@sh tests/prepare.sh
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n 2 --dist loadscope --no-loadscope-reorder tests)

night: .venv/dev ## random lives of plans on both ledgers, 10,000 of them (LIVES=...), and other examples than each day's
	@FORBEAR_LIVES=$(or $(LIVES),10000) $(BIN)/python -m pytest -n 2 tests/domain tests/judgement tests/stories/test_plan_lives_quickbooks.py tests/stories/test_plan_lives_xero.py

bench: .venv/dev ## one benchmark: make bench NAME=ledgers (QUICK=1 for a short form)
	@test -n "$(NAME)" || { echo "Say which: make bench NAME=..., one of: $$(ls benchmarks/*.py | xargs -n1 basename | sed 's/\.py//' | tr '\n' ' ')"; exit 2; }
	@$(BIN)/python benchmarks/$(NAME).py

screenshots: .venv/dev ## make the pictures in docs/ again
	@sh tests/prepare.sh
	@$(BIN)/python docs/screenshots.py

lock: ## write the three lock files anew (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra build --generate-hashes --no-emit-index-url --no-header -q -o requirements.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra build --extra otel -c requirements.lock --generate-hashes --no-emit-index-url --no-header -q -o requirements-otel.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra build --extra dev -c requirements.lock --generate-hashes --no-emit-index-url --no-header -q -o requirements-dev.lock

clean: ## forget the demo's data and every cache
	rm -rf var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
