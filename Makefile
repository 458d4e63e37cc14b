# The verbs for developers and for CI. `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MEMBERS := $(wildcard shared/*/pyproject.toml services/*/pyproject.toml)
SYNCED := $(VENV)/.synced

# The images, by their names in compose.yaml, and the version of all members.
IMAGES  := relate smtp pop3 imap api relay
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

# The tests of `make quick`, and its note about the rest.
SLOW_TESTS    := test_linear.py test_fuzz.py mime/test_hostile.py mailstore/sql api/test_instrumented.py \
	telemetry/test_limits.py telemetry/test_outage.py telemetry/test_setup.py bench/test_filler.py bench/test_alternating.py
QUICK_TESTS   := tests/unit tests/transcripts $(addprefix --ignore=tests/unit/,$(SLOW_TESTS))
COVERED_TESTS := tests/unit tests/transcripts $(addprefix --ignore=tests/unit/,test_linear.py test_fuzz.py)
define QUICK_LEFT_OUT
Left out, `make test` runs them: tests/contract, tests/integration, tests/containers; nine of ten examples of hypothesis;
and of tests/unit what is on SQL, measures growth, or starts processes:
$(SLOW_TESTS)
endef
export QUICK_LEFT_OUT

# The packages that `make test-sdk` installs in another version: contrib's follow from the SDK's.
SDK_VENV         := .venv-sdk
SDK_PACKAGES     := opentelemetry-sdk opentelemetry-exporter-otlp
CONTRIB_PACKAGES := opentelemetry-distro opentelemetry-instrumentation-fastapi opentelemetry-exporter-prometheus

.DEFAULT_GOAL := help
.PHONY: help sync run test quick coverage test-containers test-long test-sdk fuzz check check-workflows check-registry check-tag fmt \
	bench images up down logs demo migrate lock debian javascript clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

sync: $(SYNCED) ## create .venv with all members and tools, exactly as pinned

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# uv installs exactly the files with the locked hashes; --no-deps, because the lock is complete.
$(SYNCED): requirements.lock pyproject.toml $(MEMBERS) | $(VENV)/bin/python
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >$(VENV)/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $(VENV)/uv.txt
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(foreach member,$(MEMBERS),--editable $(dir $(member)))
	@touch $@

run: sync ## the embedded edition: all services in one process, SQLite, a demo account
	$(BIN)/relate serve all --demo

test: sync ## every test that can run here (container tests name the reason for a skip)
	$(BIN)/pytest

quick: sync ## unit tests and transcripts on memory twins, few examples: about a minute
	$(BIN)/pytest $(QUICK_TESTS) --quiet --hypothesis-profile quick; status=$$?; \
		printf '\n%s\n' "$$QUICK_LEFT_OUT"; exit $$status

coverage: sync ## branch coverage of unit tests and transcripts, with a floor (SUMMARY= appends a table in Markdown)
	mkdir -p .coverage
	$(BIN)/pytest $(COVERED_TESTS) --quiet --cov --cov-report= --cov-fail-under=0
	$(if $(SUMMARY),$(BIN)/coverage report --fail-under=0 --format=markdown >>"$(SUMMARY)")
	$(BIN)/coverage report

test-containers: sync ## the tests of the container stack, with its images pulled; skips none
	docker compose --file compose.yaml --file deploy/compose.scale.yaml --file deploy/compose.logs.yaml \
		--profile '*' pull --quiet --ignore-buildable
	sed -n 's/^FROM \([^ ]*:[^ ]*\).*/\1/p' deploy/Dockerfile | xargs -n 1 docker pull --quiet
	docker compose --profile '*' build
	RELATE_REQUIRE_CONTAINERS=1 $(BIN)/pytest tests/containers

test-long: sync ## the tests that take minutes, which `make test` excludes; the product with the SDK's own spans
	$(BIN)/pytest -m long
	Otel__Pipeline=sdk $(BIN)/pytest tests/integration/product tests/transcripts

test-sdk: sync ## tests/unit/telemetry with another OpenTelemetry SDK: SDK=1.45.2, the newest by default
	$(PYTHON) -m venv --clear $(SDK_VENV)
	VIRTUAL_ENV=$(SDK_VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=$(SDK_VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(foreach member,$(MEMBERS),--editable $(dir $(member)))
	VIRTUAL_ENV=$(SDK_VENV) $(BIN)/uv pip install --quiet --upgrade $(foreach package,$(SDK_PACKAGES),'$(package)$(if $(SDK),==$(SDK))') \
		$(CONTRIB_PACKAGES)
	VIRTUAL_ENV=$(SDK_VENV) $(BIN)/uv pip list --quiet | grep '^opentelemetry-sdk '
	$(SDK_VENV)/bin/pytest tests/unit/telemetry

fuzz: sync ## a million mutated inputs for the parsers of untrusted octets (INPUTS=, SEED=)
	$(BIN)/python -m tests.fuzz $(if $(INPUTS),--inputs $(INPUTS)) $(if $(SEED),--seed $(SEED))

check: sync ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-workflows: ## lint .github/workflows with actionlint, built by Go
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

check-registry: ## check docs/registry with OpenTelemetry Weaver
	weaver registry check --registry docs/registry

check-tag: ## fail unless TAG= is the tag of this version
	@[ "$(TAG)" = "v$(VERSION)" ] || { echo "the tag is $(TAG), the version $(VERSION)" >&2; exit 1; }

fmt: sync ## format and sort imports
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

bench: sync ## measure against floors and, where installed, Postfix + Dovecot (OPTIONS="--suite growth …")
	$(BIN)/python -m tests.bench $(OPTIONS)

migrate: sync ## bring the configured database to the newest schema
	$(BIN)/relate migrate

lock: sync ## resolve the newest versions that fit, and pin them with the hashes of all files
	rm -f uv.lock
	$(BIN)/uv lock --quiet --upgrade
	$(BIN)/uv export --quiet --no-emit-workspace --no-annotate --no-header --all-groups --output-file requirements.lock

images: ## build the images (PLATFORMS=linux/amd64,linux/arm64); with REGISTRY= push them there
	docker buildx bake --file compose.yaml $(IMAGES) $(if $(PLATFORMS),--set '*.platform=$(PLATFORMS)') \
		$(if $(REGISTRY),--push $(foreach image,$(IMAGES),--set $(image).tags=$(REGISTRY)/$(image):$(VERSION)))

up: ## the container stack, healthy before it returns
	docker compose up --detach --build --wait

down: ## stop the container stack and remove its volumes
	docker compose --profile '*' down --volumes --remove-orphans

logs: ## follow the stack's logs
	docker compose --profile '*' logs --follow --tail 100

demo: ## keep the stack busy with demo traffic until `docker compose stop demo`; FAULT= breaks something (docs/walks)
	deploy/demo/start.sh $(FAULT)

debian: ## install the servers and mail clients that tests use, on Debian or Ubuntu (as root)
	apt-get update --quiet --quiet
	DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --quiet \
		postgresql swaks fetchmail curl isync mutt offlineimap3 getmail6 dovecot-imapd \
		opendkim-tools chromium

javascript: ## install the JavaScript library that a test verifies webhooks with (needs npm)
	npm ci --silent --ignore-scripts --no-audit --no-fund --prefix tests/node

clean: ## remove files that the other verbs created
	rm -rf $(VENV) $(SDK_VENV) .coverage var uv.lock
