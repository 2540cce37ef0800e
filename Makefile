# SPDX-License-Identifier: Apache-2.0
#
# Makefile - the tasks of development; `make help` lists them. npm builds the addon and TypeScript, CMake the native
# tests, this file the packet program for the kernel (BPF).

CMAKE ?= cmake
JOBS ?= 2
SUDO := $(shell test "$$(id -u)" = 0 || echo sudo)
SANITIZERS ?= address,undefined

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  sudo ./scripts/quickstart   see it work, from nothing, and leave nothing"
	@echo "  sudo ./scripts/test         test everything"

.PHONY: install
install: ## Debian packages and npm packages (builds the addon)
	$(SUDO) ./scripts/install

.PHONY: build
build: ## addon and TypeScript
	npm run install
	npm run build

.PHONY: test
test: ## everything, as CI does it
	$(SUDO) ./scripts/test

.PHONY: unit
unit: ## the tests that need no root
	npx vitest run --project unit

.PHONY: lab-test
lab-test: ## the tests over real packets between network namespaces
	$(SUDO) npx vitest run --project lab

.PHONY: lint
lint: check-format shellcheck ## types, biome, direction of imports, clang-format, shellcheck
	npm run typecheck
	npm run lint
	node scripts/check-imports.mjs

NATIVE_SOURCES = $(shell git ls-files '*.c' '*.cc' '*.h' 2>/dev/null || find native test scripts -name '*.[ch]' -o -name '*.cc')
SHELL_SCRIPTS := .ci/run native/kernel/bpf/build test/fuzz/header/build \
	$(shell grep -lE '^\#!.*sh|^\# shellcheck shell' $(wildcard scripts/*) 2>/dev/null)

.PHONY: check-format
check-format: ## C and C++ as clang-format 16 formats them
	@clang-format-16 --dry-run -Werror $(NATIVE_SOURCES)

.PHONY: shellcheck
shellcheck: ## shellcheck over the shell scripts
	@shellcheck $(SHELL_SCRIPTS)

.PHONY: tidy
tidy: ## clang-tidy over native/ (checks in .clang-tidy)
	./scripts/clang-tidy

.PHONY: format
format: ## rewrite the sources as biome and clang-format do
	npx biome check --write .
	clang-format-16 -i $(NATIVE_SOURCES)

# Every header counts, so that no change in the packet program escapes the verifier.
BPF_SOURCES := $(wildcard native/kernel/bpf/*.c native/kernel/bpf/*.h native/agent/*.c native/agent/*.h native/datapath/*.h native/datapath/*/*.h) native/kernel/bpf/build

.PHONY: bpf
bpf: build-bpf/shunt.bpf.o ## compile the packet program for the kernel

build-bpf/shunt.bpf.o: $(BPF_SOURCES) Makefile
	native/kernel/bpf/build build-bpf

# In a mount namespace with a bpffs of its own: what is pinned there goes with it.
.PHONY: bpf-verify
bpf-verify: bpf ## load it into this kernel's verifier (root), and unload it
	$(SUDO) unshare --mount sh -ec 'PATH=$$PATH:/usr/sbin; mount -t bpf bpf /sys/fs/bpf; \
		bpftool prog loadall build-bpf/shunt.bpf.o /sys/fs/bpf/shunt-verify; for one in /sys/fs/bpf/shunt-verify/*; do bpftool prog show pinned $$one; done'

.PHONY: asan
asan: ## native tests with sanitizers
	$(CMAKE) -S . -B build-asan -DSHUNT_ADDON=OFF -DSHUNT_SANITIZE=$(SANITIZERS)
	$(CMAKE) --build build-asan -j $(JOBS) --target shunt-native-test
	ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 ./build-asan/shunt-native-test

.PHONY: tsan
tsan: ## native tests under ThreadSanitizer
	$(CMAKE) -S . -B build-tsan -DSHUNT_ADDON=OFF -DSHUNT_SANITIZE=thread
	$(CMAKE) --build build-tsan -j $(JOBS) --target shunt-native-test
	TSAN_OPTIONS=suppressions=test/native/tsan.supp:history_size=7 ./build-tsan/shunt-native-test

.PHONY: lab
lab: ## start the lab with its services (make lab-down ends it)
	$(SUDO) ./scripts/lab up
	$(SUDO) ./scripts/lab services up
	$(SUDO) ./scripts/lab status

.PHONY: lab-down
lab-down: ## end the lab
	$(SUDO) ./scripts/lab down

.PHONY: clean
clean: ## remove what was built; node_modules stays
	rm -rf build build-* dist docs/api packages/client/dist packages/client/docs packages/client/LICENSE
