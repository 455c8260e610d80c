# Targets for people and for CI. Each installs what it needs first; all of them are idempotent.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
PYTEST_ARGS ?=

.PHONY: help setup docker test-tools images daemon-image demo demo-down test test-unit proof-rollouts histories fuzz torture soak sim sim-mutations lint format bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## make .venv from the lock files
	@scripts/setup

docker: ## make sure that a Docker engine answers
	@scripts/ensure-docker

test-tools: docker
	@scripts/ensure-test-tools

images: docker ## build the guestbook's images
	@scripts/build-images

daemon-image: setup docker ## build the image of the daemon, reconciler:latest
	@scripts/build-daemon

demo: setup docker images ## run the guestbook from a Git repository on this host
	@$(PYTHON) -m scripts.demo up

demo-down: setup ## remove all that the demo made, and prove it
	@$(PYTHON) -m scripts.demo down

test: setup docker test-tools images daemon-image ## run all the tests, the real-Docker ones included
	@scripts/test $(PYTEST_ARGS)

proof-rollouts: setup docker test-tools daemon-image ## prove at length that rollouts, updates and scaling lose no request
	@$(PYTHON) -m tests.integration.lossless

test-unit: setup ## run the tests that need neither root nor Docker
	@$(PYTHON) -m pytest -m "not integration" $(PYTEST_ARGS)

histories: setup ## prove transactions over thousands of random histories (HISTORIES=1000 of each kind)
	@RECONCILER_HISTORIES=$(or $(HISTORIES),1000) $(PYTHON) -m pytest -q --timeout 7200 \
	    tests/property/test_transactions.py tests/property/test_sync.py $(PYTEST_ARGS)

fuzz: setup ## feed every decoder for SECONDS_EACH (60), then EXAMPLES (100) requests of each operation
	@$(PYTHON) -m tests.fuzz --seconds $(or $(SECONDS_EACH),60)
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),100) $(PYTHON) -m pytest -q tests/integration/test_openapi_requests.py

torture: setup ## kill -9 a writer of the real store KILLS times (5000)
	@$(PYTHON) -m tests.torture $(or $(KILLS),5000)

sim: setup ## live through SEEDS simulated histories (1000), or replay the one of SEED
	@$(PYTHON) -m tests.sim $(if $(SEED),--seed $(SEED),$(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST)))

soak: setup docker test-tools ## break a real world for MINUTES (10): engine, disk, daemon, containers
	@$(PYTHON) -m tests.soak $(or $(MINUTES),10) $(or $(SEED),1)

audit: ## ask the advisory service about every locked library
	@scripts/audit

sim-mutations: setup ## put bugs into the program by hand, and see that the simulation finds each
	@$(PYTHON) -m tests.sim.mutations

lint: setup ## ruff, mypy and the import contracts
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@PATH="$$PWD/.venv/bin:$$PATH" .venv/bin/lint-imports

format: setup ## lay the code out and apply the safe fixes
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

bench: setup docker images ## measure this machine; print ratios (BENCH="services dns" for some alone)
	@scripts/ensure-bench-tools
	@$(PYTHON) -m benchmarks $(BENCH)

lock: setup ## bring the lock files up to date with pyproject.toml
	@scripts/lock

clean: ## remove .venv, the caches and the images that make builds
	@scripts/clean
