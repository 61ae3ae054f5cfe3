# The menu. Each target does its own set-up; `make` alone lists them.
# PORT, DEMO, VAR_DIR, DATABASE_URL, REDIS_URL and every other setting pass through from the shell.

.DEFAULT_GOAL := help
.PHONY: help up test check fmt bench bench-scale chaos demo clean
# One recipe at a time: they share .venv and var/.
.NOTPARALLEL:
# Without its compiled files each Python process starts two seconds later.
unexport PYTHONDONTWRITEBYTECODE

PYTHON_OF_VENV := .venv/bin/python
# Questions about the code alone: no server is needed, and none is waited for.
AS_DEPLOYED := BASE_URL=https://countersign.example VAR_DIR=var/test DATABASE_POOL_MAX=0 \
	$(PYTHON_OF_VENV) -W ignore::RuntimeWarning
TEMPLATES := $(shell find templates -name '*.html' 2>/dev/null)

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

up: ## run Countersign: PORT=8123 for another port, DEMO=0 for an empty start
	@scripts/setup
	@exec $(PYTHON_OF_VENV) manage.py up

test: ## run all tests, in a browser too: ARGS="tests/web -k queue" for some
	@scripts/setup dev
	@scripts/find-browser
	@exec scripts/test $(ARGS)

check: ## everything that has to be green: format, lint, types, templates, imports, migrations, tests
	@scripts/setup dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/djade --check $(TEMPLATES)
	.venv/bin/djhtml --check templates
	.venv/bin/lint-imports
	.venv/bin/mypy
	$(AS_DEPLOYED) manage.py makemigrations --check --dry-run
	$(AS_DEPLOYED) manage.py check --deploy --fail-level WARNING
	@$(MAKE) --no-print-directory test

fmt: ## format Python and templates
	@scripts/setup dev
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix-only .
	-.venv/bin/djade $(TEMPLATES)
	.venv/bin/djhtml templates

bench: ## measure, print a table and write var/bench.json
	@scripts/setup dev
	@exec $(PYTHON_OF_VENV) -m tests.bench

bench-scale: ## load 1,000,000 proposals, measure the review pages over them, write var/bench-scale.json
	@scripts/setup dev
	@exec $(PYTHON_OF_VENV) -m tests.bench scale $(COUNT)

chaos: ## break everything while it works, then check every promise: SECONDS=120, SEED=7, RECORD=10000
	@scripts/setup dev
	@exec $(PYTHON_OF_VENV) -m tests.chaos

demo: ## load the demo into the instance that runs
	@scripts/setup
	@exec $(PYTHON_OF_VENV) manage.py demo

clean: ## remove .venv, caches and test data; what `make up` stored in var/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis var/test var/tools
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
	@if [ -e var ]; then echo "The data in $(CURDIR)/var is kept. To remove it for good: rm -rf '$(CURDIR)/var'"; fi
