# Every target is one line of `python -m infra` or of a tool. Variables become flags:
#   make run RATE=2000 SYMBOLS=AAPL,MSFT
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check dashboard smoke e2e faults bench planted train backtest status \
	stop reset doctor sql quality rejects evidence docs format requirements clean

UV_VERSION := 0.13.9
UV := $(or $(shell command -v uv),.tools/bin/uv)
READY := .venv/.ready
RL_READY := .venv/.rl-ready
INFRA := .venv/bin/python -m infra
flag = $(if $($(1)),--$(2) '$($(1))')
PROFILE_FLAG = $(call flag,PROFILE,profile)
NODE_FITS := node -e 'const [a, b] = process.versions.node.split("."); \
	process.exit(a > 20 || (a == 20 && b >= 9) ? 0 : 1)' 2>/dev/null
NPM := cd dashboard && NEXT_TELEMETRY_DISABLED=1 npm
NPM_READY := dashboard/node_modules/.package-lock.json
BUILT_PAGE := dashboard/out/index.html
# The page and its tests ask for Node; everything else does without.
with_node = if $(NODE_FITS); then $(MAKE) -s $(NPM_READY) $(1); \
	else echo "dashboard: skipped, needs Node 20.9 (apt install nodejs npm)"; fi

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

run: $(READY) dashboard ## Run everything: RATE= SYMBOLS= REPLAY=folder SPEED= PORT= PROFILE=
	@$(INFRA) run $(call flag,RATE,rate) $(call flag,SYMBOLS,symbols) \
		$(call flag,REPLAY,replay) $(call flag,SPEED,speed) \
		$(call flag,PORT,port) $(PROFILE_FLAG)

test: $(RL_READY) ## Run the unit, integration, contract and page tests: ARGS= for pytest
	@$(INFRA) doctor --quiet
	@$(call with_node,page-test)
	@.venv/bin/pytest -n 2 --dist loadfile $(ARGS)

check: $(READY) ## Check format, lint, types, import rules, secrets
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.ci/secret-scan
	@$(call with_node,page-check)

dashboard: ## Build the page that the API serves, where Node 20 is
	@$(call with_node,$(BUILT_PAGE))

smoke: $(READY) ## Prove that nothing is lost: SECONDS= RATE= REPLAY= ENGINE= PAGE=1 OUT= …
	@$(INFRA) smoke $(call flag,SECONDS,seconds) $(call flag,RATE,rate) \
		$(call flag,SYMBOLS,symbols) $(call flag,FEED,feed) \
		$(call flag,REPLAY,replay) $(call flag,SPEED,speed) \
		$(call flag,ENGINE,engine) $(call flag,OUT,out) $(PROFILE_FLAG) \
		$(if $(PAGE),--page)

e2e: $(NPM_READY) ## Walk the running page in Chromium: URL= SHOTS=folder OUT= MINUTES=
	@$(NPM) run --silent e2e -- $(call flag,URL,url) $(call flag,SHOTS,shots) \
		$(call flag,OUT,out) $(call flag,MINUTES,memory-minutes)

faults: $(READY) ## Let everything go wrong, judge every row: SEED= OUT=
	@$(INFRA) faults $(call flag,SEED,seed) $(call flag,OUT,out)

bench: $(READY) ## Measure it beside what one would pick instead: DATA= SEED= QUICK=1 OUT=
	@$(INFRA) bench $(call flag,DATA,data) $(call flag,SEED,seed) \
		$(if $(QUICK),--quick) $(call flag,OUT,out)

planted: $(RL_READY) ## Train where the best policy is known: ALGO= SEEDS= QUICK=1 ONLY= …
	@.venv/bin/python -m models planted $(call flag,ALGO,algo) \
		$(call flag,SEEDS,seeds) $(if $(QUICK),--quick) $(call flag,ONLY,only) \
		$(if $(FRESH),--fresh) $(call flag,OUT,out)

train: $(RL_READY) ## Walk forward over the lake: SYMBOL= AS_OF= or BARS=file; ALGO= SEEDS= …
	@.venv/bin/python -m models train $(call flag,BARS,bars) \
		$(call flag,SYMBOL,symbol) $(call flag,AS_OF,as-of) \
		$(call flag,ALGO,algo) $(call flag,SEEDS,seeds) \
		$(call flag,STEPS,steps) $(call flag,SEARCH,search) \
		$(call flag,TENSORBOARD,tensorboard) \
		$(call flag,REGISTRY,registry) $(call flag,OUT,out) $(if $(KEEP),--keep) \
		$(if $(FRESH),--fresh)

backtest: $(READY) ## Play a model over the lake: MODEL= AS_OF= SYMBOLS= FIRST= LAST= OUT=
	@.venv/bin/python -m models backtest $(call flag,MODEL,model) \
		$(call flag,AS_OF,as-of) $(call flag,SYMBOLS,symbols) \
		$(call flag,FIRST,first) $(call flag,LAST,last) \
		$(call flag,PIN,pin) $(call flag,OUT,out)

status: $(READY) ## Show what runs, its rates, lag and disk
	@$(INFRA) status $(PROFILE_FLAG)

stop: $(READY) ## Drain the running pipeline and end it
	@$(INFRA) stop $(PROFILE_FLAG)

reset: $(READY) ## Delete the local lake, stream and checkpoints: YES=1 does not ask
	@$(INFRA) reset $(PROFILE_FLAG) $(if $(YES),--yes)

doctor: $(READY) ## Say what this machine lacks, and the line that mends it
	@$(INFRA) doctor $(PROFILE_FLAG)

sql: $(READY) ## Open a DuckDB shell with every table: AS_OF=time, pin or version
	@$(INFRA) sql $(call flag,AS_OF,as-of) $(PROFILE_FLAG)

quality: $(READY) ## Validate what is new in the lake, and write the Data Docs
	@$(INFRA) quality run $(PROFILE_FLAG)

rejects: $(READY) ## Judge rejected messages again, after a rule was mended
	@$(INFRA) rejects replay $(PROFILE_FLAG)

evidence: $(READY) ## Measure an issue's bounds: ISSUE=main-job ONLY=smoke
	@$(INFRA) evidence $(ISSUE) $(call flag,ONLY,only)

docs: $(READY) ## Write the pages that follow from the code
	@$(INFRA) config docs

format: $(READY) ## Format the code and mend what ruff can
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

requirements: $(READY) ## Export the locked versions for pip: dist/requirements.txt
	@mkdir -p dist
	@$(UV) export --frozen --quiet --no-default-groups --group spark --no-hashes \
		--output-file dist/requirements.txt

clean: ## Delete the environment and caches; data in var/ stays
	rm -rf .venv .tools dist .*_cache dashboard/{node_modules,.next,out}

$(READY): uv.lock | $(UV)
	@$(UV) sync --frozen --quiet
	@touch $@

# What training needs beyond all else. For Linux the package index has torch's CUDA
# build only, 4.6 GB; TORCH=cpu takes the same version's small one from PyTorch's index.
LOCKED_RL := $(UV) export --frozen --quiet --only-group rl --no-hashes --no-annotate
$(RL_READY): $(READY)
ifeq ($(TORCH),cpu)
	@{ $(LOCKED_RL) --prune torch && $(LOCKED_RL) | grep '^torch=='; } | \
		$(UV) pip install --quiet --python .venv --torch-backend cpu --requirements -
else
	@$(UV) sync --frozen --quiet --group rl
endif
	@touch $@

.PHONY: page-check page-test
page-check:
	@$(NPM) run --silent check

page-test:
	@$(NPM) run --silent test

$(BUILT_PAGE): $(NPM_READY) $(wildcard dashboard/*.ts dashboard/*.mjs) \
		$(shell find dashboard/{app,components,features,lib,scripts} \
			-type f ! -name '*.test.*')
	@$(NPM) run --silent build

$(NPM_READY): dashboard/package-lock.json
	@$(NPM) ci --silent --prefer-offline
	@touch $@

.tools/bin/uv:
	@python3 -m venv .tools
	@.tools/bin/pip install --quiet uv==$(UV_VERSION)
