# Needs only make and Python 3.11 or newer. All else is installed in .venv, exactly as the lock files say.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Resolve nothing: a resolver also meets releases that came out after the lock. Build nothing: a build resolves.
LOCKED := $(BIN)/python -m pip install --quiet --no-deps --only-binary :all: --require-hashes --requirement
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header --group build pyproject.toml
# The quick part of the suite, for each supported Python.
FAST := tests/fundamentals tests/lua tests/manager tests/encryption tests/faults tests/setup
.PHONY: setup demo dev test fast coverage fresh fuzz lint audit bench planted model chaos lock clean
.NOTPARALLEL:
setup: .venv/full .venv/package
.venv/demo: requirements-demo.lock
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: PYTHON=...")'
	"$(PYTHON)" -m venv --clear .venv
	$(LOCKED) $<
	touch $@
.venv/package: pyproject.toml .venv/demo
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $@
.venv/full: requirements.lock .venv/demo
	$(LOCKED) $<
	$(BIN)/python -m pip check
	touch $@
demo: .venv/package
	$(BIN)/python -m examples.demo
dev: .venv/package
	$(BIN)/python -m agent_runtime.worker.dev
test: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile
fast: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile $(FAST)
coverage: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile --cov --cov-report=term:skip-covered $(FAST)
fresh: setup
	$(BIN)/python -m tests.setup
fuzz: setup
	FUZZ_INPUTS=$(or $(INPUTS),1000000) $(BIN)/python -m pytest --timeout 0 tests/fuzz
lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/python .ci/lint_lua.py
audit: setup
	$(BIN)/python .ci/audit.py
bench: setup
	$(BIN)/python -m benchmarks --save
planted: setup; $(BIN)/python -m tests.planted
model: setup; $(BIN)/python -m tests.model "$(or $(STEPS),100000)" $(SEED)
chaos: setup; $(BIN)/python -m tests.chaos --seconds "$(or $(SECONDS),120)" --seed "$(SEED)"
lock: .venv/full
	$(COMPILE) --extra dev -o requirements.lock
	$(COMPILE) --extra demo --constraint requirements.lock -o requirements-demo.lock
clean: ; rm -rf .venv .data .pytest_cache .mypy_cache .ruff_cache
