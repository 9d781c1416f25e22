# Two commands: `make demo` and `make test`. Both use .venv, which the first of them makes.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint style clean

demo: .venv/ready
	$(BIN)/ebmcore run examples/five_gaussians.yaml

# mypy is one of the tests (tests/test_types.py), so that it runs beside the others
test: style
	MLFLOW_DISABLE_TELEMETRY=true OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: style
	$(BIN)/mypy

style: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/ready: requirements-dev.txt constraints.txt pyproject.toml $(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt editables hatchling
	$(BIN)/pip install --quiet --constraint constraints.txt --no-build-isolation \
		--requirement requirements-dev.txt
	touch .venv/ready

clean:
	rm -rf .venv runs mlruns mlflow.db
