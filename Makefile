# insula: `make demo` shows it, `make test` proves it. Both set up everything they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
export MPLBACKEND := Agg
# Modules are compiled once, not in each of the many processes of the tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: audit hashes demo docs check lint test bench results ledger format install chromium ray clean

install: $(VENV)/.installed
demo: $(VENV)/.installed
	$(BIN)/insula demo

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt pip setuptools
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[test,data,onnx,live,docs]"
	touch $@

$(VENV)/.documented: $(VENV)/.installed
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[docs]"
	touch $@

$(VENV)/.benched: $(VENV)/.tested
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[bench]"
	touch $@

# The site in build/docs: every example runs, a warning is an error, no connection is opened.
docs: $(VENV)/.documented
	$(BIN)/sphinx-build -q -n -W --keep-going -d build/doctrees docs build/docs

# Format, lint, types, import contract, fast tests; neighbours stay in one process, which makes what they share once.
check: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/.tested
	$(BIN)/ruff format --check src tests benchmarks examples docs/conf.py docs/_ext
	$(BIN)/ruff check src tests benchmarks examples docs/conf.py docs/_ext
	$(BIN)/mypy
	$(BIN)/lint-imports

# Everything: lint, fast and slow tests. The tests of a browser and of Ray say why they are skipped where there is none.
test: lint chromium ray
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Debian's browser for the page tests, if this machine can install it.
chromium:
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium) >/dev/null 2>&1 || \
		echo "no chromium here: the browser tests will be skipped"

# The extra [scale], a wheel of 80 MB, for the test of a cluster of two nodes; everything else runs without it.
ray: $(VENV)/.tested
	@$(BIN)/python -c "import ray" 2>/dev/null || $(BIN)/python -m pip install -q -c constraints.txt -e ".[scale]" || \
		echo "no ray here: the test of a Ray cluster will be skipped"

# docs/results.md and docs/ledger.md anew, from what has run already and what has not; stop it and it goes on.
results: $(VENV)/.installed
	$(BIN)/insula results experiments/results --out docs/results.md --jobs 2

ledger: $(VENV)/.installed
	$(BIN)/insula compare experiments/ledger_real.toml --jobs 2
	$(BIN)/insula compare experiments/ledger_simulated.toml --jobs 2
	$(BIN)/insula compare experiments/transfer.toml --jobs 2
	$(BIN)/insula ledger experiments/ledger_real.toml experiments/ledger_simulated.toml experiments/transfer.toml \
		--out docs/ledger.md

bench: $(VENV)/.benched
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

# For a release: every package that insula and its extras data and onnx install here, with the SHA-256 of its file.
hashes: $(VENV)/.installed
	@mkdir -p build
	$(BIN)/python -m pip install -q --dry-run --ignore-installed --report build/report.json -c constraints.txt ".[data,onnx]"
	$(BIN)/python -c "import json; print(*sorted(p['metadata']['name'] + '==' + p['metadata']['version'] + \
		' --hash=sha256:' + p['download_info']['archive_info']['hashes']['sha256'] \
		for p in json.load(open('build/report.json'))['install'] if 'archive_info' in p['download_info']), sep='\n')" \
		> requirements-hashed.txt

# For a release: known holes of the pinned packages; needs the open network.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/pip install -q pip-audit
	build/audit/bin/pip-audit --no-deps --disable-pip --strict -r constraints.txt

format: $(VENV)/.tested
	$(BIN)/ruff format src tests benchmarks examples docs/conf.py docs/_ext
	$(BIN)/ruff check --fix src tests benchmarks examples docs/conf.py docs/_ext

clean:
	rm -rf $(VENV) build dist runs docs/api docs/gallery docs/models .mypy_cache .ruff_cache .pytest_cache .hypothesis
