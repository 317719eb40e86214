# Shows the demo's result on a web page until it is interrupted; SERVE=0 ends with the demo.
SERVE ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test up down bench fmt clippy check

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Run the demo (SERVE=0: without serving its result)
	cargo build --release --locked -p verdict-server --bin verdict
	cargo run --release --locked -p verdict-tests --bin demo -- --serve $(SERVE)

# The builds come first so that the servers do not idle through them. Each run starts with
# empty servers; what it leaves in .local stays for inspection until the next.
test: ## Run all tests, with private PostgreSQL and RabbitMQ servers and a headless browser
	scripts/install-servers
	cargo test --workspace --locked --no-run
	cargo build --locked -p verdict-server
	scripts/servers clean .local/test
	VERDICT_SERVERS_FAST=0 VERDICT_TEST_SERVERS=.local/test \
	  scripts/servers run .local/test -- cargo test --workspace --locked

up: ## Run the service on private servers, until ^C
	scripts/install-servers
	scripts/servers start .local/up
	cargo build --release --locked -p verdict-server --bin verdict
	scripts/up

down: ## Stop the servers of `make up`; the data stays
	scripts/servers stop .local/up

bench: ## Run the benchmarks, with private servers
	scripts/install-servers
	cargo build --release --locked -p verdict-server --bin verdict
	cargo build --release --locked -p verdict-tests --bin bench
	scripts/servers clean .local/bench
	VERDICT_SERVERS_FAST=0 scripts/servers run .local/bench -- \
	  cargo run --release --locked -p verdict-tests --bin bench

fmt: ## Format the sources
	cargo fmt --all

clippy: ## Lint everything; warnings are errors
	cargo clippy --workspace --all-targets --locked -- -D warnings

check: ## Check the format and lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
