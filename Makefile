# The front door. `make help` lists the verbs; each says what it does and prints
# what to do next when it cannot.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup bigquery bigquery-cost dev data build docs run check model monitoring test lint
.PHONY: prove drill replay bench clean emulator

PYTHON ?= python3
NBA_ML_HOME ?= data
ifneq ($(words $(NBA_ML_HOME) $(CURDIR)),2)
$(error make cannot work in folders with a space: NBA_ML_HOME is '$(NBA_ML_HOME)', this folder '$(CURDIR)')
endif
override NBA_ML_HOME := $(abspath $(NBA_ML_HOME))
export NBA_ML_HOME
export DBT_PROFILES_DIR := $(CURDIR)/profiles
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

BIN := .venv/bin
# The clock: what the caller gave, else the one of files that stand still (which other
# targets than DuckDB do not read), else the present. A make within make asks the data
# anew: they may just have been imported.
ifeq ($(origin GIVEN_CLOCK),undefined)
export GIVEN_CLOCK := $(NBA_ML_AS_OF)
endif
CLOCK_FILE := $(if $(filter-out duckdb,$(NBA_ML_TARGET)),,$(NBA_ML_HOME)/raw/as_of)
export NBA_ML_AS_OF := $(or $(GIVEN_CLOCK),$(shell cat "$(CLOCK_FILE)" 2>/dev/null))

DBT_FILES := dbt_project.yml profiles/profiles.yml \
	$(shell find models macros seeds tests -type f 2>/dev/null)
RAW_FILES := $(wildcard $(NBA_ML_HOME)/raw/*)

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is not Python 3.11 or newer. Next: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing the locked environment into .venv (about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/installed-bigquery: .venv/installed requirements-bigquery.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bigquery.lock
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

setup: .venv/installed ## environment from the lock, and data when there are none
	@mkdir -p "$(NBA_ML_HOME)"
	@test -e "$(NBA_ML_HOME)/raw/player_game_summary.parquet" || $(BIN)/nba-ml simulate
	@echo "Ready. To use dbt directly:"
	@echo "  source .venv/bin/activate"
	@echo "  export NBA_ML_HOME='$(NBA_ML_HOME)' DBT_PROFILES_DIR='$(DBT_PROFILES_DIR)'"
	@echo "  dbt build              # the clock is the present; \$$(cat \$$NBA_ML_HOME/raw/as_of) is"
	@echo "                         # the one of data that stand still: NBA_ML_AS_OF sets it"

bigquery: .venv/installed-bigquery ## the packages for BigQuery and Cloud Storage: docs/bigquery.md

bigquery-cost: export NBA_ML_TARGET := $(or $(NBA_ML_TARGET),bigquery)
bigquery-cost: bigquery ## bytes that each model scans, by BigQuery's dry run
	@$(BIN)/dbt --quiet compile
	@$(BIN)/python python/bigquery_cost.py target/manifest.json

dev: .venv/installed-dev

# The emulator of BigQuery has an environment of its own: it needs a newer Python and
# an older DuckDB. --no-deps, since the lock overrides its wish for DuckDB 2.0.
emulator: .venv-emulator/installed
.venv-emulator/installed: python/emulator/interpreter python/emulator/requirements.lock
	@python=$$(python/emulator/interpreter) && echo "Installing the BigQuery emulator into .venv-emulator" && \
	  $$python -m venv --clear .venv-emulator
	@.venv-emulator/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r python/emulator/requirements.lock
	@touch $@

data: .venv/installed
	@mkdir -p "$(NBA_ML_HOME)"
ifdef DATA
	@$(BIN)/nba-ml import "$(DATA)" --frozen-clock $(IMPORT_OPTIONS)
else
	@test -e "$(NBA_ML_HOME)/raw/player_game_summary.parquet" || $(BIN)/nba-ml simulate
endif

# Rebuilt when the data, the project or the clock changed. Without a clock of
# their own the data are live, and every build is a new one.
# Tables of other targets are written by others, too.
BUILT := $(NBA_ML_HOME)/built$(addprefix -,$(NBA_ML_TARGET))
BUILT_AT := $(if $(NBA_ML_TARGET),,$(shell cat "$(BUILT)" 2>/dev/null))
build: $(if $(filter $(BUILT_AT),$(NBA_ML_AS_OF)),$(BUILT),build-now)
.PHONY: build-now
build-now $(BUILT): .venv/installed $(DBT_FILES) $(RAW_FILES)
	@$(BIN)/dbt --quiet build --exclude resource_type:unit_test
	@echo "$(NBA_ML_AS_OF)" > "$(BUILT)"

docs: $(NBA_ML_HOME)/docs/index.html ## dbt docs and the feature catalogue as static HTML
$(NBA_ML_HOME)/docs/index.html: $(BUILT)
	@$(BIN)/dbt --quiet docs generate --static
	@mkdir -p "$(NBA_ML_HOME)/docs"
	@$(BIN)/python python/feature_site.py target
	@$(BIN)/dbt-features lint --strict --manifest target/feature-site.json >/dev/null
	@$(BIN)/dbt-features build --manifest target/feature-site.json --connection nba_ml --target $(or $(NBA_ML_TARGET),duckdb) --no-cache >/dev/null
	@rm -rf "$(NBA_ML_HOME)/docs/features"
	@cp -r target/feature-catalog "$(NBA_ML_HOME)/docs/features"
	@cp target/static_index.html $@

run: ## everything from data to a prediction over HTTP. DATA=dir takes your files
	@$(MAKE) --no-print-directory data
	@$(MAKE) --no-print-directory model

# Apart from `run`, so that the clock of data just imported is known.
model: build
ifdef NBA_ML_AS_OF
	@$(BIN)/python python/replay.py # the last season of data that stand still
endif
	@$(BIN)/nba-ml train --if-changed --json >/dev/null # status prints the result
	@$(BIN)/nba-ml deploy --watch 0 >/dev/null || echo "What served before serves on." >&2
	@$(MAKE) --no-print-directory docs
	@$(BIN)/nba-ml predict
	@$(BIN)/nba-ml status
	@$(BIN)/python python/ask_worker.py
	@$(BIN)/nba-ml sync
	@$(MAKE) --no-print-directory monitoring
	@$(BIN)/nba-ml report

monitoring: ## accuracy, drift and alerts over what was logged
	@$(BIN)/dbt --quiet build -s path:models/monitoring --exclude feature_quality resource_type:unit_test

check: .venv/installed ## a look at data of your own, which changes nothing: make check DATA=dir
	@$(BIN)/nba-ml check $(if $(DATA),"$(DATA)") $(IMPORT_OPTIONS)

lint: dev ## ruff and sqlfluff, both dialects
	@$(BIN)/ruff check python
	@$(BIN)/ruff format --check python
	@$(BIN)/sqlfluff lint --dialect duckdb models tests
	@$(BIN)/sqlfluff lint --dialect bigquery models tests

SRC := python/src/nba_ml
# the modules of python/tests/test_cli.py that serve models
SERVING := $(shell sed -nE '/^SERVING/s/[^"]*"([^"]*)"[^"]*/\1 /gp' python/tests/test_cli.py)
# Two workers share two cores: threads that spin while they wait would starve them.
# The emulator first: a machine without an interpreter for it is told at once.
test: emulator lint ## everything that CI runs
	@count() { cat "$$@" | grep -cvE '^\s*(#|$$)'; }; all=$$(count $(SRC)/*.py); serves=$$(count $(SERVING:%=$(SRC)/%.py)); \
	  echo "Product Python: $$((all - serves)) lines that make models and $$serves that use and watch them, each of at most 3,000;" \
	  "beside them the simulator, $$(count python/simulator/nba_simulator/*.py)"
	@OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest

prove: dev ## proof of no leakage on your data: make prove DATA=dir
	@test -n "$(DATA)" || { echo "Which data? Next: make prove DATA=dir" >&2; exit 1; }
	@NBA_ML_PROVE_DATA="$(abspath $(DATA))" $(BIN)/python -m pytest -v python/tests/test_leakage.py

drill: .venv/installed ## the life of a deployment, with a rollback, on a fake clock
	@$(BIN)/python python/drill.py

replay: .venv/installed ## the alert rules over past seasons, and planted faults: DATA=dir
	@test -n "$(DATA)" || { echo "Which data? Next: make replay DATA=dir" >&2; exit 1; }
	@OMP_WAIT_POLICY=PASSIVE $(BIN)/python python/fault_replay.py "$(abspath $(DATA))"

bench: dev ## benchmarks, as ratios. DATA=dir takes your files
	@NBA_ML_BENCH_DATA="$(if $(DATA),$(abspath $(DATA)))" $(BIN)/python python/benchmarks/run.py

clean: ## forget the environment and what was generated; state stays
	rm -rf .venv .venv-emulator target logs
