# Every check and job of the project. `make help` lists them.
PY := .venv/bin/python
BIN := .venv/bin
# Thousands of tests make a database each: in memory where the system has such a folder.
FAST_TMP := $(firstword $(wildcard /dev/shm) /tmp)

.DEFAULT_GOAL := help
.PHONY: help check format lint types imports audit docs docs-check test test-faults test-fuzz test-sdk test-proxies test-image test-formats test-arm64 test-all soak lock lock-images bench packer wheel

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

check: lint types imports docs-check audit test ## lint, types, import contracts, the reference pages, vulnerabilities, and the fast tests

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

audit: ## bandit, and what PyPI knows against the packages that are installed with us
	$(BIN)/bandit -c pyproject.toml -q -r server/src provisioning/src
	$(PY) tests/audit.py

imports: ## import contracts
	$(BIN)/lint-imports

docs: ## write the reference pages from the code
	$(PY) docs/generate.py

docs-check: ## the reference pages say what the code says
	$(PY) docs/generate.py --check

test: ## the fast tests: no network, no Docker, no sleep
	PYTEST_DEBUG_TEMPROOT=$(FAST_TMP) $(BIN)/pytest -n auto

test-faults: ## a live server that is killed, loses power, and meets full disks and hostile clients: a sample
	$(BIN)/pytest -m faults

test-fuzz: ## a live server under made-up calls of every endpoint and under hostile bytes: a sample
	$(BIN)/pytest -m fuzz

test-sdk: ## the real clearml client and agent against live servers (they mostly wait for each other)
	$(BIN)/pytest -m sdk -n 4

test-proxies: ## the client through nginx and HAProxy, set up as docs/addresses.md says (without them: skipped)
	$(BIN)/pytest -m proxies -n 2 --dist loadgroup

test-image: ## bake, boot, log an experiment, reboot, compare, publish, upgrade (root; about 39 minutes)
	$(BIN)/pytest -p no:cacheprovider -m image

test-formats: ## boot the VMDK, the VHD and the archive for Google on hardware of their kind (root; 6 minutes)
	TRAINSHED_FORMATS=1 $(BIN)/pytest -p no:cacheprovider -m image tests/infra/test_formats.py

test-arm64: ## bake for arm64, run its container, boot its disk, all by emulation (root; needs qemu-user-static, qemu-system-arm, qemu-efi-aarch64)
	TRAINSHED_ARM64=1 $(BIN)/pytest -p no:cacheprovider -m image tests/infra/test_arm64.py

soak: ## the fault tests in full, and long searches for a counterexample
	TRAINSHED_SOAK=1 $(BIN)/pytest -m "faults or fuzz or not (sdk or image or proxies)" -k "faults or fuzz or kill or agree or any_calls" server/tests
	TRAINSHED_SOAK=1 $(BIN)/pytest -m "faults or image" tests/infra/test_upgrade_program.py tests/infra/test_upgrade.py

test-all: check test-faults test-fuzz test-sdk test-proxies test-image ## everything

# With extras: an older pip, Debian 12's, looks for another version of what only a dependency asks for with an extra.
lock: ## pin versions and hashes again
	$(BIN)/uv pip compile --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header -q server/pyproject.toml provisioning/pyproject.toml requirements-dev.in -o requirements.lock

lock-images: ## pin the Debian packages of the images again: weekly, and after a change of a packages.txt (root)
	$(BIN)/shed bake --update-lock --architecture amd64
	$(BIN)/shed bake --update-lock --architecture arm64

packer: ## the newest free Packer into build/tools, which the templates for clouds need (Go 1.20; minutes at first)
	images/packer/install

wheel: ## the server's wheel into dist/
	$(PY) -m build --wheel --no-isolation --outdir dist server
