# Everything CI does, by name. `make` alone lists the recipes.

HOST := $(shell rustc -vV | sed -n 's/^host: //p')
CARGO_REGISTRY := $(or $(CARGO_HOME),$(HOME)/.cargo)/registry
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
STATIC := $(TARGET)/$(HOST)/release/broker
FUZZ := greeting frames command acceptor connector pair round_trip endpoint broker_ops
FUZZ_SECONDS ?= 10
PYTHON ?= python3
# The package zeromq for JavaScript, or the directory it is in.
ZEROMQ ?= zeromq

.DEFAULT_GOAL := help
.PHONY: help check test sans-io no-c static release fuzz peers pictures chaos package bench instructions ci

help: ## List the recipes
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

check: ## Format, lints and documentation, warnings denied
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo fmt --check --manifest-path bench/Cargo.toml
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked

test: ## Everything that needs cargo and a C++ compiler only
	cargo test --workspace

sans-io: ## The protocol core builds and passes its tests without tokio
	cargo clippy -p zmtp --no-default-features --locked -- -D warnings
	cargo test -p zmtp --no-default-features --locked --lib
	! cargo tree -p zmtp --no-default-features -e normal --prefix none | grep -E '^(tokio|mio|socket2)'

no-c: ## Nothing that the crates are built from compiles or links C
	tests/no-c.sh

static: ## A broker without a dynamic library in it, tried out
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked -p broker --target $(HOST)
	tests/static.sh $(STATIC)

release: static ## The static program in an archive, with its checksum, in target/dist
	deploy/release.sh $(STATIC) $(HOST) $(TARGET)/dist

fuzz: ## Each fuzz target for FUZZ_SECONDS; needs cargo-fuzz and a nightly toolchain
	cd fuzz && for target in $(FUZZ); do \
	  cargo +nightly fuzz run $$target -- -max_len=65536 -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

peers: ## Tests with other programs: Ruby, Python, Perl, PHP, JavaScript and C, strace, Chromium and a terminal
	cargo build --release --locked -p broker
	BROKER=$(TARGET)/release/broker PYTHON=$(PYTHON) ZEROMQ=$(ZEROMQ) \
	  cargo test --locked -p interop --features peers --test peers --test languages --test screens

pictures: ## The pictures in docs, made by the tests of what they show; needs Chromium
	cargo build --release --locked -p broker
	BROKER=$(TARGET)/release/broker PICTURES=$(CURDIR)/docs cargo test --locked -p interop --features peers --test screens

chaos: ## A minute in which libzmq peers of the program are killed and stopped under load
	cargo build --release --locked -p broker
	BROKER=$(TARGET)/release/broker cargo test --locked -p interop --features peers --test chaos -- --nocapture

package: ## The crates can be published as they are, and the program installed
# cargo keeps what it unpacked to verify an earlier package of this version, and does not look whether it has changed.
	rm -rf $(CARGO_REGISTRY)/src/-*/zmtp-*
	cargo package --locked --allow-dirty -p zmtp -p broker
	cargo install --locked --quiet --force --path crates/broker --root $(TARGET)/installed
	$(TARGET)/installed/bin/broker --version

bench: ## Half an hour against a hand-written loop and other libraries, into docs/performance.md
	cargo build --release --locked --manifest-path bench/Cargo.toml
	bench/target/release/compare 5 3

instructions: ## Instructions of a message and of a job against bench/instructions.txt; needs valgrind
	cargo run --release --locked --manifest-path bench/Cargo.toml --bin instructions -- $(WRITE)

ci: check test sans-io no-c release fuzz peers chaos package ## All of the above
