# Two commands: `make run` serves, `make test` tests. Both set up what they need first.

PYTHON ?= python3
VENV := .venv

.PHONY: run test lint bench clean

run: $(VENV)/.installed
	@$(VENV)/bin/dynamic-tables serve --demo

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --require-hashes -r requirements.lock
	$(VENV)/bin/pip install --no-deps --no-build-isolation --editable .
	@touch $@
