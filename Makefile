# Every check and job of the project. `make help` lists them.
PY := .venv/bin/python
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help check format lint types imports docs docs-check test test-sdk test-image test-all soak lock bench wheel

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

check: lint types imports docs-check test ## lint, types, import contracts the reference pages, and the fast tests

format: ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: ## ruff, ansible-lint, shell syntax
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	ANSIBLE_LOCALHOST_WARNING=false $(BIN)/ansible-lint --offline --profile production -q roles playbooks
	sh -n bootstrap

types: ## mypy, strict
	$(BIN)/mypy

imports: ## import contracts
	$(BIN)/lint-imports

docs: ## write the reference pages from the code
	$(PY) docs/generate.py

docs-check: ## the reference pages say what the code says
	$(PY) docs/generate.py --check

test: ## the fast tests: no network, no Docker, no sleep
	$(BIN)/pytest

test-sdk: ## the real clearml client against a live server
	$(BIN)/pytest -m sdk

test-image: ## bake, boot, log an experiment, reboot, compare (root; about 8 minutes)
	$(BIN)/pytest -p no:cacheprovider -m image

soak: ## the long repetitions: kill -9, 50 times each
	TRAINSHED_TEST_KILLS=50 $(BIN)/pytest -k "kill" server/tests

test-all: check test-sdk test-image ## everything

lock: ## pin versions and hashes again
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header -q server/pyproject.toml provisioning/pyproject.toml requirements-dev.in -o requirements.lock

wheel: ## the server's wheel into dist/
	$(PY) -m build --wheel --no-isolation --outdir dist server
