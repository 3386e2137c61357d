# Needs only make and Python 3.11 or newer; everything else is set up in .venv from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
.PHONY: setup demo dev test fuzz lint audit bench planted model chaos lock clean
setup: .venv/ready
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
demo: setup
	$(BIN)/python -m examples.demo
dev: setup
	$(BIN)/python -m agent_runtime.worker.dev
test: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile
fuzz: setup
	FUZZ_INPUTS=$(or $(INPUTS),1000000) $(BIN)/python -m pytest --timeout 0 tests/fuzz
lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
audit: setup
	$(BIN)/python .ci/audit.py
bench: setup
	$(BIN)/python -m benchmarks --save
planted: setup; $(BIN)/python -m tests.planted
model: setup; $(BIN)/python -m tests.model "$(or $(STEPS),100000)" $(SEED)
chaos: setup; $(BIN)/python -m tests.chaos --seconds "$(or $(SECONDS),120)" --seed "$(SEED)"
lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock
clean: ; rm -rf .venv .data .pytest_cache .mypy_cache .ruff_cache
