# The developer's face. Every target is a script of scripts/; `make` alone lists them. ARGS="…" reaches the script.
ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help run test image check lint lock bench clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run: ## Build the image, start the container, show a gateway surviving its restart (ARGS=--no-install)
	@scripts/run $(ARGS)

test: ## Everything: lint, types, units, real s6, the image in containers (ARGS="tests/unit -k config")
	@scripts/test $(ARGS)

image: ## Build and tag hermes:dev (ARGS="--s6 debian")
	@scripts/ensure-docker
	@scripts/build-image $(ARGS)

check: ## Lint and types; changes nothing
	@scripts/check

lint: ## Mend what can be mended by itself, then check
	@scripts/lint

lock: ## Rewrite the lock files from pyproject.toml (ARGS=--upgrade)
	@scripts/lock $(ARGS)

bench: ## Measure the table of docs/performance.md beside its peers
	@scripts/bench $(ARGS)

clean: ## Remove what was built here: caches, .venv, the image; the volume stays
	@scripts/clean
