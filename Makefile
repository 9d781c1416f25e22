# Four commands. `make demo`, `make test` and `make docs` use .venv, which the first of them makes; `make bench`
# uses .venv-bench, with the peers that it compares with: `make bench BENCH=--quick` for a short one.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint style docs bench clean

demo: .venv/ready
	$(BIN)/ebmcore run examples/five_gaussians.yaml

# mypy is one of the tests (tests/whole/test_types.py), so that it runs beside the others
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

# the site, with the pages that it makes of docstrings; its notebook pages run meanwhile
docs: .venv/docs-ready
	MLFLOW_DISABLE_TELEMETRY=true $(BIN)/python -m sphinx -W --keep-going -n -E -q docs docs/_build/html
	@echo "the site: docs/_build/html/index.html"

.venv/docs-ready: .venv/ready requirements-docs.txt constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --requirement requirements-docs.txt
	touch .venv/docs-ready

bench: .venv-bench/ready
	.venv-bench/bin/python benchmarks/bench.py $(BENCH)

# the runner's pins and the peers' own; no peer may bring another torch
BENCH_PIP := .venv-bench/bin/pip install --quiet --constraint constraints.txt \
	--constraint benchmarks/constraints.txt

.venv-bench/ready: requirements-dev.txt constraints.txt benchmarks/constraints.txt pyproject.toml \
		$(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -m venv .venv-bench
	$(BENCH_PIP) editables hatchling
	$(BENCH_PIP) --no-build-isolation $(patsubst %,--editable %,. $(wildcard plugins/*))
	$(BENCH_PIP) torchebm || echo "torchebm can't be installed: its rows will say so"
	$(BENCH_PIP) jax optax || echo "jax and optax can't be installed: their rows will say so"
	$(BENCH_PIP) blackjax ebmkit scikit-learn || echo "blackjax or ebmkit can't be installed: mixing.py needs blackjax"
	touch .venv-bench/ready

clean:
	rm -rf .venv .venv-bench runs mlruns mlflow.db docs/_build docs/about docs/commands docs/contract docs/parts
