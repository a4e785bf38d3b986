# Two commands for a newcomer: `make bench` and `make test`. Both install what they need into .venv first.
# A name on the PATH may be a shim that starts nothing, or a Python without venv: each is tried by running it.
FITS := import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON ?= $(firstword $(foreach name,python3.12 python3.11 python3,$(shell $(name) -c '$(FITS)' 2>/dev/null && echo $(name))))
VENV := .venv
BIN := $(VENV)/bin
SUITE ?= quick

.PHONY: bench test lint types install clean

bench: install
	$(BIN)/flashbench run $(SUITE) $(ARGS)

# What measures time has the machine for itself. The rest shares it, a file of tests at a time, the longest ones first:
# much of it is waiting, so three at a time keep two cores busy.
test: install
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not alone" $(ARGS)
	$(BIN)/pytest -m alone $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

install: $(VENV)/.installed

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' || { \
		echo "flashbench needs Python 3.11 or 3.12 with venv, and found $(or $(PYTHON),none on the PATH): name one with make PYTHON=..."; \
		exit 2; }
	@echo "Installing the pinned dependencies into $(VENV); about a minute the first time."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
