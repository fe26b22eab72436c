# make demo      the farm at work, in a kernel of its own
# make test      every check and every test, those that need a kernel in the lab's own
# make lint      the checks alone
# make coverage  the tests again, a third slower, and how much of the code they run
# make bench     how fast it is beside keepalived and ipvsadm, into the README; wants a quiet machine
# make deb       the Debian packages of director and agent, into dist/
# make zipapp    the agent in a single file, into dist/
# make lock      pins the libraries of both, after pyproject.toml was changed
# make lab       the farm, with its director reachable on this host's loopback, until Ctrl-C
# make clean     remove what the others have made

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$python; break; fi; done)
BIN := .venv/bin
RESULTS := build/test
# The tests in the lab wait a third of their time, so two guests share a processor. Nothing else runs
# beside them: a daemon that waits for its processor looks like a network that lost its packets.
ROUNDS := "lint guest-tests" "host-tests package-tests" lab-tests
GUEST_TESTS := tests/unit/lab
# They share what takes long to make, so one process runs them all.
PACKAGE_TESTS := tests/packages
GUESTS := $(if $(filter 1,$(shell nproc)),2,4)

LINT_IMPORTS := $(if $(shell grep -l '^\[tool.importlinter\]' pyproject.toml),&& $(BIN)/lint-imports)

# Runs a stage, commands joined by &&; shows what it said if it fails.
define stage
@mkdir -p $(RESULTS)
@echo "$@: running, see $(RESULTS)/$@.log"
@SECONDS=0; if { $(1); } >$(RESULTS)/$@.log 2>&1; then echo "$@: passed after $$SECONDS s"; \
	else cat $(RESULTS)/$@.log; echo "$@: FAILED after $$SECONDS s"; exit 1; fi
endef

.PHONY: test lint guest-tests host-tests package-tests lab-tests coverage demo bench lab deb zipapp lock clean packages

test: packages $(BIN)/installed
	@rm -rf $(RESULTS)
	@status=0; \
	for stages in $(ROUNDS); do $(MAKE) --no-print-directory --jobs --keep-going $$stages || status=1; done; \
	grep -hoE '=+ [^=]*(passed|failed|error|no tests ran)[^=]* =+$$' $(RESULTS)/*-tests.log || status=1; \
	exit $$status

lint: $(BIN)/installed
	$(call stage,$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy $(LINT_IMPORTS))

guest-tests: packages $(BIN)/installed
	$(call stage,$(BIN)/python -m pytest -n auto --durations=10 $(GUEST_TESTS))

host-tests: packages $(BIN)/installed
	$(call stage,$(BIN)/python -m pytest -n auto --durations=10 --ignore=$(GUEST_TESTS) --ignore=$(PACKAGE_TESTS))

package-tests: packages $(BIN)/installed
	$(call stage,$(BIN)/python -m pytest --durations=10 $(PACKAGE_TESTS))

lab-tests: packages $(BIN)/installed
	$(call stage,$(BIN)/python -m deploy.lab test --guests $(GUESTS) --time-limit 1800 --results build/lab/test)

coverage: packages $(BIN)/installed
	@mkdir -p $(RESULTS)
	@COVERAGE_FILE=$(RESULTS)/.coverage $(BIN)/python -m coverage run -m pytest -n auto
	@$(BIN)/python -m deploy.lab test --coverage --time-limit 2400 --results build/lab/test
	@COVERAGE_FILE=$(RESULTS)/.coverage $(BIN)/python -m coverage combine --quiet $(RESULTS) build/lab/test/guest*
	@COVERAGE_FILE=$(RESULTS)/.coverage $(BIN)/python -m coverage report >$(RESULTS)/coverage.txt
	@echo "coverage: $$(awk '/^TOTAL/ {print $$NF}' $(RESULTS)/coverage.txt), see $(RESULTS)/coverage.txt"

demo: packages $(BIN)/installed
	@$(BIN)/python -m deploy.lab demo

lab: packages $(BIN)/installed
	@$(BIN)/python -m deploy.lab up

bench: packages $(BIN)/installed
	@$(BIN)/python -m benchmarks

deb zipapp lock: $(BIN)/installed
	@$(BIN)/python -m deploy.packages $@

packages:
	@deploy/lab/install-packages

$(BIN)/installed: pyproject.toml
	$(if $(PYTHON),,$(error Python 3.11 or newer is needed: apt-get install python3 python3-venv))
	@$(MAKE) --no-print-directory packages
	@echo "installing lvsctl and its tools into .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[director,dev]'
	@touch $@

clean:
	rm -rf build dist .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
