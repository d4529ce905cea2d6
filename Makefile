# `make demo` and `make test` do all the set-up on a fresh machine with Node 20, npm, git and Python 3.
SHELL := /bin/sh
VENV := .venv
TS := ts

NIX := nix --extra-experimental-features 'nix-command flakes'

.PHONY: help demo test prove prove-worlds prove-faults bench watch-idle bundles docs share check types lint coverage mutation format clean build switch status rollback unswitch dependencies deps-hash

help:
	@echo "make demo      two homes, one store: the main job in half a minute, checked"
	@echo "make test      all tests"
	@echo "make prove     prove-faults, then prove-worlds; hours, most of them for CRASH_POINTS and STORE_FAULTS"
	@echo "make prove-worlds   random worlds for PROVE_SECONDS (1800): crashes, races, lost state, bad clocks; PROVE_SEED=N replays"
	@echo "make prove-faults   kills, failing disks and stores, signals, hammering, hostile input: all, or CRASH_POINTS=60, STORE_FAULTS=60,"
	@echo "                    SIGNALS=20, HAMMER_SECONDS=180, FUZZ_RUNS=200000, PROPERTY_RUNS=100000"
	@echo "make bench     figures against the shell scripts' way (BENCH_JSON=file for JSON)"
	@echo "make watch-idle   what watch costs at rest, in ten minutes"
	@echo "make bundles   ts/dist/*.mjs"
	@echo "make docs      docs/reference, from the sources; its Nix options with NIXPKGS_TREE=/path/to/nixpkgs"
	@echo "make share     ts/share/: man pages and completions, which the Nix package has too"
	@echo "make build     the Nix package, result/"
	@echo "make switch    run the services on this machine; with FLAKE=... the host's own switch"
	@echo "make status    which of them run, and how their last runs ended"
	@echo "make rollback  go back to the services before the last switch"
	@echo "make unswitch  take the services away again; credentials stay"
	@echo "make dependencies   the table in docs/dependencies.md"
	@echo "make deps-hash what the Nix package needs after package-lock.json changed"
	@echo "make coverage  branches of sync and stores that the tests take"
	@echo "make mutation  whether the tests notice each change of the planner"
	@echo "make check     types and lint;  make format  writes what lint can mend"

$(TS)/node_modules/.package-lock.json: $(TS)/package-lock.json
	cd $(TS) && npm ci --no-audit --no-fund --loglevel=error

# The real servers that demo, tests and bench run against. Without Python they say so and go on without.
$(VENV)/.done: tests/requirements.txt
	@if python3 -c 'import venv, ensurepip' 2>/dev/null; then \
	  python3 -m venv $(VENV) && $(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt && touch $@; \
	else echo "Python 3 with venv is missing: no real S3 server to test against." >&2; fi

bundles: $(TS)/node_modules/.package-lock.json
	@cd $(TS) && npx tsx build.ts

docs: $(TS)/node_modules/.package-lock.json
	@cd $(TS) && npx tsx docs.ts

share: $(TS)/node_modules/.package-lock.json
	@cd $(TS) && npx tsx share.ts share

demo: bundles $(VENV)/.done
	@node $(TS)/node_modules/tsx/dist/cli.mjs tests/demo/demo.ts

test: bundles check $(VENV)/.done
	@cd $(TS) && npx vitest run

# Both, whatever the first finds; the last line is the worlds' one. A seed is one of the worlds'.
prove:
	@found=0; \
	if [ -z "$$PROVE_SEED" ]; then $(MAKE) --no-print-directory prove-faults || found=1; fi; \
	$(MAKE) --no-print-directory prove-worlds || found=1; \
	exit $$found

prove-worlds: $(TS)/node_modules/.package-lock.json
	@node $(TS)/node_modules/tsx/dist/cli.mjs tests/model/prove.ts

prove-faults: bundles $(VENV)/.done
	@cd $(TS) && npx vitest run --config vitest.prove.config.ts

bench: bundles $(VENV)/.done
	@node $(TS)/node_modules/tsx/dist/cli.mjs tests/bench/bench.ts

watch-idle: bundles $(VENV)/.done
	@node $(TS)/node_modules/tsx/dist/cli.mjs tests/bench/watch-idle.ts

# Types and the lint that needs types load the same program: at once, they take as long as the longer one.
check: $(TS)/node_modules/.package-lock.json
	@$(MAKE) --no-print-directory -j2 types lint

types: $(TS)/node_modules/.package-lock.json
	@cd $(TS) && npm run --silent check

lint: $(TS)/node_modules/.package-lock.json
	@cd $(TS) && npm run --silent lint

# Of ts/src/sync/ and ts/src/stores/, by the tests that call them in their own process.
coverage: $(TS)/node_modules/.package-lock.json $(VENV)/.done
	@cd $(TS) && npm run --silent coverage

# Some 1,600 changes, each tried against the tests that run it.
mutation: $(TS)/node_modules/.package-lock.json
	@cd $(TS) && npm run --silent mutation

format: $(TS)/node_modules/.package-lock.json
	@cd $(TS) && npm run --silent format

build:
	$(NIX) build .

# FLAKE=. or FLAKE=~/config#name: by what this host has. Without it: our services, straight from this checkout.
switch:
ifdef FLAKE
	@if command -v nixos-rebuild >/dev/null; then set -x; sudo nixos-rebuild switch --flake '$(patsubst ~/%,$(HOME)/%,$(FLAKE))'; \
	elif command -v darwin-rebuild >/dev/null; then set -x; sudo darwin-rebuild switch --flake '$(patsubst ~/%,$(HOME)/%,$(FLAKE))'; \
	elif command -v home-manager >/dev/null; then set -x; home-manager switch --flake '$(patsubst ~/%,$(HOME)/%,$(FLAKE))'; \
	else echo "make switch: none of nixos-rebuild, darwin-rebuild and home-manager is here to switch to $(FLAKE); without FLAKE the services run without them" >&2; exit 1; fi
else
	$(NIX) run .#switch
endif

status rollback unswitch:
	$(NIX) run .#switch -- $@

dependencies: $(TS)/node_modules/.package-lock.json
	@cd $(TS) && node node_modules/tsx/dist/cli.mjs dependencies.ts

deps-hash:
	@nix/deps-hash.sh --write && cat nix/deps.json

clean:
	rm -rf $(TS)/dist $(TS)/share $(TS)/node_modules $(VENV)
