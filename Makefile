# Every target does its own set-up; only Python 3.11 or newer has to be there.

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
NEWEST_VENV := .venv-newest
NEWEST_PYTHON ?= $(or $(lastword $(sort $(wildcard $(shell pyenv root 2>/dev/null)/versions/3.13.*/bin/python3))),python3.13)
CORES := $(shell getconf _NPROCESSORS_ONLN)
# tests mostly wait
WORKERS ?= $(shell echo $$((3 * $(CORES))))
PYTEST = -m pytest -n $(WORKERS)
SERVICES := chromium chromium-driver dnsmasq-base erlang-base faketime haproxy mariadb-server memcached nginx postgresql prometheus \
	prometheus-alertmanager prometheus-blackbox-exporter prometheus-node-exporter prometheus-pushgateway rabbitmq-server \
	redis-server uwsgi-core uwsgi-plugin-python3

.DEFAULT_GOAL := help

unexport PYTHONDONTWRITEBYTECODE # each of pytest's workers would compile all tests

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

$(VENV)/demo-installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

# With job control Ctrl-C reaches the command alone, and make ends with its exit code.
ALONE := bash -c 'test -t 0 && set -m; "$$@"; exit' bash

.PHONY: demo
demo: $(VENV)/demo-installed ## Serve the demo: levers, and the status page (PORT=8000, ARGS=--spans)
	@$(ALONE) $(BIN)/python -m health_check.demo --port $(PORT) $(ARGS)

.PHONY: demo-stack
demo-stack: $(VENV)/demo-installed ## Serve it with a Prometheus and an Alertmanager beside it (Debian)
	@command -v prometheus prometheus-alertmanager > /dev/null || $(MAKE) --no-print-directory services \
		SERVICES='prometheus prometheus-alertmanager'
	@$(ALONE) $(BIN)/python -m health_check.demo --port $(PORT) --stack $(ARGS)

.PHONY: test
test: $(VENV)/installed ## Run the tests (REQUIRE_SERVICES=1 fails where a server is missing)
	$(BIN)/python $(PYTEST) $(ARGS)

.PHONY: test-long
test-long: $(VENV)/installed ## Run all tests, with all of their repetitions (TEST_FACTOR=8 for more)
	TEST_FACTOR=$(or $(TEST_FACTOR),1) $(BIN)/python $(PYTEST) $(ARGS)

# What neither Python nor Django can change: texts, generated files, the wheel, examples that other tests have, too.
UNCHANGED := benchmarks tests/dashboards tests/test_docs.py tests/test_packaging.py tests/test_services.py \
	$(wildcard tests/health_check/test_redaction_patterns*.py)

.PHONY: first-five-minutes
first-five-minutes: $(VENV)/installed ## Do what the README says on a new project, until an alert is told, and time it
	$(BIN)/python -m pytest -p no:randomly -s tests/end_to_end/test_first_five_minutes.py $(ARGS)

.PHONY: newest
newest: ## Install the newest Python and Django for the tests
	@test -x $(NEWEST_VENV)/bin/python || $(NEWEST_PYTHON) -m venv $(NEWEST_VENV)
	@$(NEWEST_VENV)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(NEWEST_VENV)/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable . 'Django$(NEWEST_DJANGO)' --group test
	@$(NEWEST_VENV)/bin/python -c 'import django, sys; print("Python", sys.version.split()[0], "Django", django.__version__)'

.PHONY: test-newest
test-newest: newest ## Run what the newest Python and Django may change, without servers
	$(NEWEST_VENV)/bin/python $(PYTEST) -m 'not server' $(UNCHANGED:%=--ignore=%) $(ARGS)

.PHONY: lint
lint: $(VENV)/installed ## Check style, types, the direction of imports, and that the dashboards are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=.:exporters:dashboards $(BIN)/lint-imports
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/zizmor --quiet --offline --config .github/zizmor.yml .github
	PYTHONPATH=.:exporters:dashboards $(BIN)/python -m health_check_dashboards.drawing --check

.PHONY: architecture
architecture: $(VENV)/installed ## Print the rooms of the source and their imports, as a graph for Graphviz
	@PYTHONPATH=.:exporters:dashboards $(BIN)/import-linter drawgraph health_check --show-import-totals --show-module-counts

.PHONY: dashboards
dashboards: $(VENV)/installed ## Draw the Grafana dashboards again
	PYTHONPATH=.:exporters:dashboards $(BIN)/python -m health_check_dashboards.drawing

.PHONY: bench
bench: $(VENV)/installed ## Measure what answers cost, against a bare view and others (ARGS=scrape)
	$(BIN)/python -m benchmarks --json build/benchmarks.json $(ARGS)

.PHONY: format
format: $(VENV)/installed ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

DOCS_VENV := .venv-docs

$(DOCS_VENV)/installed: pyproject.toml
	@test -x $(DOCS_VENV)/bin/python || $(PYTHON) -m venv $(DOCS_VENV)
	@$(DOCS_VENV)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(DOCS_VENV)/bin/python -m pip install --quiet --group docs
	@touch $@

.PHONY: docs
docs: $(DOCS_VENV)/installed ## Build the documentation site into build/site; a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict

.PHONY: release
release: $(VENV)/installed ## Build the release into dist/, check it, and try the wheel in a clean environment
	rm -rf dist build/release
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv build/release
	build/release/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	build/release/bin/python -I tests/support/smoke.py
	@echo "dist/ is ready: git tag v$$(build/release/bin/python -I -c 'import health_check; print(health_check.__version__)')"

.PHONY: services
services: ## Install the servers that the tests start (Debian)
	@test "$$(id -u)" = 0 && SUDO= || SUDO=sudo; \
	$$SUDO apt-get update --quiet --quiet && \
	DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install --quiet --quiet --yes --no-install-recommends $(SERVICES)

APT_SID := apt-get --quiet --quiet -o Dir::Etc::sourcelist=$(CURDIR)/build/apt/sid.sources -o Dir::Etc::sourceparts=- \
	-o Dir::State::lists=$(CURDIR)/build/apt/lists -o Dir::Cache=$(CURDIR)/build/apt -o APT::Sandbox::User=root

define FETCH_FROM_SID
	@rm -rf build/apt && mkdir -p build/apt/lists/partial build/apt/archives/partial $(@D)
	@awk -v RS= '!/security/ { print; print "" }' /etc/apt/sources.list.d/debian.sources \
		| sed 's/^Suites:.*/Suites: sid/' > build/apt/sid.sources
	@$(APT_SID) update && cd build/apt && $(APT_SID) download $(1)
	@for package in build/apt/*.deb; do dpkg-deb --extract $$package build/apt/root; done
endef

.PHONY: prometheus-3
prometheus-3: build/prometheus-3/promtool-3 ## Fetch Prometheus 3, which Debian's stable release lacks, for the tests

build/prometheus-3/promtool-3:
	$(call FETCH_FROM_SID,prometheus promtool)
	@cp build/apt/root/usr/bin/prometheus $(@D)/prometheus-3
	@cp build/apt/root/usr/bin/promtool $@ && rm -r build/apt

VICTORIA := victoria-metrics vmalert vmalert-tool

.PHONY: victoria-metrics
victoria-metrics: build/victoria-metrics/vmalert-tool ## Fetch VictoriaMetrics and vmalert, too old in Debian's stable release, for the tests

build/victoria-metrics/vmalert-tool:
	$(call FETCH_FROM_SID,victoria-metrics)
	@cp $(VICTORIA:%=build/apt/root/usr/bin/%) $(@D) && rm -r build/apt

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) $(NEWEST_VENV) $(DOCS_VENV) build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
