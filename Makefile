# The same short verbs for people and for CI. `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MEMBERS := $(wildcard shared/*/pyproject.toml services/*/pyproject.toml)
SYNCED := $(VENV)/.synced

.DEFAULT_GOAL := help
.PHONY: help sync run test test-long fuzz check fmt bench up down logs demo migrate lock clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

sync: $(SYNCED) ## make .venv with every member and tool, exactly as pinned

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# uv installs the pins in seconds, files of the locked hashes only; --no-deps, because the lock is complete.
$(SYNCED): requirements.lock pyproject.toml $(MEMBERS) | $(VENV)/bin/python
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >$(VENV)/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $(VENV)/uv.txt
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(foreach member,$(MEMBERS),--editable $(dir $(member)))
	@touch $@

run: sync ## the embedded edition: all four services in one process, SQLite, a demo account
	$(BIN)/relate serve all --demo

test: sync ## every test that can run here (container tests say why they skip)
	$(BIN)/pytest

test-long: sync ## the tests that take minutes, which `make test` leaves out
	$(BIN)/pytest -m long

fuzz: sync ## a million mutated inputs for what reads octets of strangers (INPUTS=, SEED=)
	$(BIN)/python -m tests.fuzz $(if $(INPUTS),--inputs $(INPUTS)) $(if $(SEED),--seed $(SEED))

check: sync ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: sync ## format and sort imports
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

bench: sync ## measure against floors and, where installed, Postfix + Dovecot
	$(BIN)/python -m tests.bench

migrate: sync ## bring the configured database to the newest schema
	$(BIN)/relate migrate

lock: sync ## resolve the newest versions that fit, and pin them with the hashes of all their files
	rm -f uv.lock
	$(BIN)/uv lock --quiet --upgrade
	$(BIN)/uv export --quiet --no-emit-workspace --no-annotate --no-header --all-groups --output-file requirements.lock

up: ## the container stack, healthy before it returns
	docker compose up --detach --build --wait

down: ## stop the container stack and remove its volumes
	docker compose --profile '*' down --volumes --remove-orphans

logs: ## follow the stack's logs
	docker compose --profile '*' logs --follow --tail 100

demo: ## keep the stack busy with demo traffic until `docker compose stop demo`
	docker compose --profile demo up --detach --build --wait demo

clean: ## remove what the other verbs made
	rm -rf $(VENV) var uv.lock
