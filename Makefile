# `make demo` and `make test` do everything, environment included.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint fast-test ops-test demo-short benchmark unbiased truth two-way docs clean

demo: $(VENV)/installed
	$(BIN)/spacetime-tps run alanine_dipeptide --out runs/demo --guided 100 --steered 100 --unbiased 300 --seed 1

demo-short: $(VENV)/installed
	$(BIN)/spacetime-tps run alanine_dipeptide --out runs/demo-short --guided 10 --unbiased 20 --seed 1 --set training.steps_a=12700 --set rounds.max_rounds=2

# Three seeds of the guided benchmark with its baseline; about ten minutes on two cores.
benchmark: $(VENV)/clustered
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --snakefile workflows/guided.smk --cores all --quiet
	@cat runs/benchmark/table.md

# Three seeds of 1000 effective unbiased transitions; about four minutes.
unbiased: $(VENV)/clustered
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --snakefile workflows/unbiased.smk --cores all --quiet
	@cat runs/unbiased/table.md

# Unbiased transitions against brute force at 800 K, three seeds; about fifty minutes, most of them brute force.
truth: $(VENV)/clustered
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --snakefile workflows/truth.smk --cores all --quiet
	@cat runs/truth/table.md

# The unbiased transitions of `make unbiased` against OpenPathSampling's two-way shooting; another half an hour.
two-way: unbiased $(VENV)-ops/installed
	$(VENV)-ops/bin/python workflows/benchmark.py two-way runs/unbiased/seed_1 --out runs/two_way
	$(BIN)/python workflows/benchmark.py truth runs/two_way runs/unbiased/seed_1 runs/unbiased/seed_2 runs/unbiased/seed_3 \
		--against mcmc_two_way --out runs/two_way_table

test: lint fast-test

lint: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fast-test: $(VENV)/tested
	$(BIN)/pytest -n 2

# The tests that `make test` skips because OpenPathSampling cannot live in its environment; the import keeps them from being skipped here too.
ops-test: $(VENV)-ops/installed
	$(VENV)-ops/bin/python -c "import openpathsampling"
	$(VENV)-ops/bin/pytest -rs tests/test_two_way.py tests/test_compare_ops.py tests/test_handover_ops.py

# The documentation as a site, build/site/index.html; nothing is fetched while it is built, or read.
docs: $(VENV)-docs/installed
	$(VENV)-docs/bin/python workflows/write_documentation.py build/docs
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --strict --quiet
	@echo "build/site/index.html"

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

$(VENV)/clustered: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[cluster]"
	touch $@

# OpenPathSampling needs numpy 1, the rest runs on numpy 2: an environment of its own, for `workflows/benchmark.py two-way` and its tests.
$(VENV)-ops/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-ops
	$(VENV)-ops/bin/pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(VENV)-ops/bin/pip install --quiet --constraint constraints.txt --editable ".[test,ops]"
	touch $@

$(VENV)-docs/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(VENV)-docs/bin/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-ops $(VENV)-docs build runs
