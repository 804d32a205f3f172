# Two commands: `make run` serves, `make test` tests. Both set up what they need first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
COMPILE := $(BIN)/uv pip compile pyproject.toml --generate-hashes --universal \
	--python-version 3.11 --no-header --quiet

.PHONY: run test format lint audit bench bench-peers faults mutants screenshots lock clean

run: $(VENV)/.installed
	@$(BIN)/dynamic-tables serve --demo

test: $(VENV)/.installed-dev
	$(BIN)/pytest

# Breaks the code on purpose in a thousand ways, to see that tests notice: an hour and a half.
mutants: $(VENV)/.installed-dev
	$(BIN)/python -m tests.mutants

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known vulnerabilities of what we depend on; says so when the advisories cannot be reached.
audit: $(VENV)/.installed-dev
	@found=$$($(BIN)/pip-audit --require-hashes --disable-pip --timeout 10 \
		-r requirements.lock 2>&1); status=$$?; \
	if [ $$status -eq 0 ]; then echo "$$found" | head -n 3; \
	elif echo "$$found" | grep -q 'known vulnerabilit'; then echo "$$found"; exit 1; \
	else echo "Nothing was audited, the advisories cannot be reached:"; \
		echo "$$found" | tail -n 1; fi

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks

# Needs npm and wrk; the peers are installed once, below build/peers.
bench-peers: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.peers

# Each fault once, in about four minutes; `make faults MINUTES=60` repeats them at full length.
faults: $(VENV)/.installed-dev
	$(BIN)/python -m tests.faults --minutes $(or $(MINUTES),0)

screenshots: $(VENV)/.installed-dev
	$(BIN)/python -m tests.pages.screenshots

lock: $(VENV)/.installed-dev
	$(COMPILE) --extra build --extra dev --upgrade --output-file requirements-dev.lock
	$(COMPILE) --extra build --constraint requirements-dev.lock --output-file requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is \
	needed; set PYTHON=, for example make run PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
