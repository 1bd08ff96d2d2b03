# Each target sets up what it needs in .venv: python3, pip and a C++ compiler are all it takes.
PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ARGS ?=
# A process a core, a thread each: two threads crawl as soon as anything else runs. Who is done takes
# tests from another: handed out as files, the few longest come last, and one process waits for them.
SUITE = OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --dist worksteal

.PHONY: compare test coverage test-scatter test-spark benchmark-speed docs notebooks wheel-check lint format clean

compare: $(VENV)/.installed ## the main job on the embedded data set
	$(VENV)/bin/resemb-gnn compare --data complete-journey --embeddings plain mlp:held gcn \
		--seeds 3 --max-history 20 --out runs/demo --resume $(ARGS)

test: $(VENV)/.dev ## the whole suite, without torch-scatter
	$(SUITE) $(ARGS)

coverage: $(VENV)/.dev ## the whole suite, and which lines of resemb_gnn it runs
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest $(ARGS)
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage json --quiet -o - | $(VENV)/bin/python -m tests.tools.coverage_table

test-scatter: $(VENV)/.scatter ## the layers again, on torch-scatter's kernels
	$(VENV)/bin/python -m pytest tests/nn tests/models $(ARGS)

test-spark: $(VENV)/.spark ## the co-visit query on Spark; needs Java 17
	$(VENV)/bin/python -m pytest -m spark $(ARGS)

benchmark-speed: ## next to other libraries, in an environment of its own; DATA=sequence file
	test -x .venv-speed/bin/python || $(PYTHON) -m venv .venv-speed
	.venv-speed/bin/python -m pip install --quiet -c constraints.txt torch
	.venv-speed/bin/python -m pip install --quiet -c constraints.txt -e . -r benchmarks/speed/requirements.txt
	.venv-speed/bin/python -m benchmarks.speed $(if $(DATA),--data $(DATA)) $(ARGS)

docs: $(VENV)/.dev ## the site, in site/
	$(VENV)/bin/python -m mkdocs build --quiet --strict

# tqdm's warning names a path of the machine.
notebooks: $(VENV)/.dev ## executes them and keeps their outputs, as the repository shows them
	PYTHONWARNINGS=ignore:IProgress $(VENV)/bin/python -m nbconvert --to notebook --execute \
		--ExecutePreprocessor.startup_timeout=600 --ExecutePreprocessor.record_timing=False --inplace docs/notebooks/*.ipynb

wheel-check: $(VENV)/.dev ## wheel and sdist in an empty environment, without torch-scatter
	PYTHON=$(VENV)/bin/python .ci/wheel-check

lint: $(VENV)/.dev ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# torch comes first and pinned: a looser request may bring a GPU build of several gigabytes.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(PIP) -e ".[dev,all,docs]"
	touch $@

# Compiles for minutes; its set-up imports torch, hence no build isolation.
$(VENV)/.scatter: $(VENV)/.dev
	$(PIP) setuptools wheel
	$(PIP) --no-build-isolation torch-scatter
	touch $@

$(VENV)/.spark: $(VENV)/.dev
	$(PIP) -e ".[spark]"
	touch $@
