# Everything a person types. Needs python3 (3.11 or later) and make; uv is used if it is there.
# Extra arguments go through ARGS: make test ARGS="-k cart", make demo ARGS=--check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test bench lint messages lock lock-check fmt clean

# Images for containers often set this, and then each of the many processes that the tests and the
# demo start would compile Django and all the rest anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# The first Python on PATH that is new enough; PYTHON=... chooses another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(NEW_ENOUGH)' 2>/dev/null && { echo "$$python"; break; }; done)
# A uv that answers; a mere name on PATH may be a version manager's empty shim.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.runtime ## Run everything on this machine; ARGS=--check tries it once and stops
	@$(BIN)/python manage.py demo $(ARGS)

test: $(VENV)/.dev ## Run the tests
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.dev ## Run the benchmarks
	$(BIN)/python -m tests.benchmarks $(ARGS)

# `makemigrations --check` works without a database, after a warning and a moment's wait for one.
# `check --deploy` sees the production settings as an operator would set them.
lint: $(VENV)/.dev ## Check style, types, layers, templates, migrations and settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --quiet --lint templates
	@echo "manage.py makemigrations --check"
	@DJANGO_SETTINGS_MODULE=config.settings.test DATABASE_POOL_TIMEOUT=0.1 \
		$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@echo "manage.py check --deploy"
	@DJANGO_SETTINGS_MODULE=config.settings.production \
		SECRET_KEY=only-for-this-check-0123456789-abcdefghijklmnopqrstuvwxyz \
		CHECK_IN_KEY=only-for-this-check-9876543210-zyxwvutsrqponmlkjihgfedcba \
		DATABASE_URL=postgresql://holdfast@db.example/holdfast \
		REDIS_URL=redis://cache.example:6379/0 \
		ALLOWED_HOSTS=holdfast.example PUBLIC_URL=https://holdfast.example \
		$(BIN)/python manage.py check --deploy --fail-level WARNING
	$(if $(UV),@$(MAKE) --no-print-directory lock-check)

fmt: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

messages: $(VENV)/.dev ## Bring the translations of what customers read up to date
	@DJANGO_SETTINGS_MODULE=config.settings.test $(BIN)/python -m tests.catalogue

# --no-emit-index-url: nothing committed names the registry that somebody happened to use.
COMPILE = $(or $(UV),$(BIN)/uv) pip compile --quiet --universal --generate-hashes \
	--no-emit-index-url --python-version 3.11 --custom-compile-command "make lock"
RUNTIME = $(COMPILE) --extra embedded pyproject.toml
DEVELOPMENT = $(COMPILE) --extra embedded --group dev pyproject.toml

lock: $(if $(UV),,$(VENV)/.dev) ## Pin what pyproject.toml asks for; ARGS=--upgrade takes the newest
	$(RUNTIME) $(ARGS) -o requirements.txt
	$(DEVELOPMENT) $(ARGS) -c requirements.txt -o requirements-dev.txt

lock-check: ## Check that the pins are those of pyproject.toml (needs the package registry)
	@mkdir -p var && cp requirements.txt requirements-dev.txt var/
	@if $(RUNTIME) -o var/requirements.txt >/dev/null && \
		$(DEVELOPMENT) -c requirements.txt -o var/requirements-dev.txt >/dev/null; then \
		for file in requirements.txt requirements-dev.txt; do \
			diff -u $$file var/$$file || { echo "$$file is not up to date: run make lock"; exit 1; }; \
		done; \
	else \
		echo "requirements: not checked, as uv could not resolve them here"; \
	fi

clean: ## Delete .venv, caches and var/ (with the demo's data)
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the virtual environment ---------------------------------------------------------------------
# Stamps: done once, and again when a requirements file changes. The development file contains the
# runtime one, so `make demo` adds nothing after `make test`. --no-deps: the files name everything, so
# nothing is left to resolve; an older pip would look for a newer coverage[toml] and find no hash.

ifeq ($(UV),)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
MAKE_VENV = "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
	echo "python3 -m venv failed. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
else
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps
MAKE_VENV = $(UV) venv --quiet --python "$(PYTHON)" $(VENV)
endif

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Holdfast needs Python 3.11 or later; python3 here is $$(python3 --version 2>&1)." >&2; \
		echo "Install a newer one, or say where it is: make PYTHON=/path/to/python3.12 ..." >&2; \
		exit 1; \
	fi
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' || \
		{ echo "$(PYTHON) is $$("$(PYTHON)" --version 2>&1); Holdfast needs 3.11 or later." >&2; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" --version 2>&1)"
	@$(MAKE_VENV)

$(VENV)/.runtime: requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt"
	@$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt | $(BIN)/python
	@echo "Installing requirements-dev.txt"
	@$(INSTALL) -r requirements-dev.txt
	@touch $@ $(VENV)/.runtime
