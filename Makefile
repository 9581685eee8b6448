# SpanQA on Debian or Ubuntu with Swift: `make run` and `make test` from a clean checkout.

SWIFT ?= swift
# Tests run against the optimised build: the arithmetic is 10 to 50 times slower without it.
TEST_FLAGS = -c release -Xswiftc -enable-testing

# What the build needs beside Swift, as Debian packages, and the pkg-config names that show they are there.
PACKAGES = libopenblas-dev libprotobuf-c-dev pkg-config
PC_NAMES = openblas libprotobuf-c
# What runs the kernels of other processors in the tests; they are skipped where it cannot be installed.
EMULATORS = gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
# What opens the page of spanqa inspect in the tests; they are skipped where it cannot be installed.
BROWSER = chromium fonts-dejavu-core

.PHONY: help run build dist test test-arm64 test-old-processor emulators browser example benchmarks regenerate-onnx-proto packages clean

help:
	@echo "make run    build, then answer a question with the embedded model"
	@echo "make test   build and run all tests, and build the benchmarks"
	@echo "make build  build the command: $$($(SWIFT) build -c release --show-bin-path 2>/dev/null)/spanqa"
	@echo "make dist   build dist/spanqa: one file to copy, which needs OpenBLAS and protobuf-c but no Swift"
	@echo "make clean  remove the build folders"

run: build
	@echo
	@echo "Passage:  $(PASSAGE)"
	@echo "Question: $(QUESTION)"
	@printf 'Answer:   '
	@$$($(SWIFT) build -c release --show-bin-path)/spanqa answer --question "$(QUESTION)" --passage "$(PASSAGE)"

PASSAGE = The Amazon basin encompasses 7,000,000 square kilometres, of which 5,500,000 are covered by the rainforest. The majority of the forest is contained within Brazil, with 60% of the rainforest, followed by Peru with 13%.
QUESTION = Which country contains most of the rainforest?

build: packages
	$(SWIFT) build -c release --product spanqa

# One stripped command with Swift's libraries and the embedded model in it. Where it goes it needs libopenblas0 and libprotobuf-c1.
dist: packages
	$(SWIFT) build -c release --product spanqa --static-swift-stdlib --scratch-path .build/dist
	mkdir -p dist
	strip -o dist/spanqa "$$($(SWIFT) build -c release --static-swift-stdlib --scratch-path .build/dist --show-bin-path)/spanqa"
	@if ldd dist/spanqa | grep -iE 'swift|foundation|icu'; then echo "make: dist/spanqa needs libraries of Swift's" >&2; exit 1; fi
	@ls -l dist/spanqa

test: packages browser
	$(SWIFT) test $(TEST_FLAGS)
	$(MAKE) test-arm64 test-old-processor
	$(MAKE) example benchmarks

# The NEON kernels under an emulator, where the cross tools are installed. After the Swift tests, which write what to compare with.
test-arm64: emulators
	Tests/arm64/run.sh

# The command that the tests built, on an emulated processor without AVX, where the emulator is installed.
test-old-processor: emulators
	Tests/x86/run.sh "$$($(SWIFT) build -c release --show-bin-path)/spanqa"

# Installs what the tests can do without, where that is allowed: commands that show it is there, then Debian packages.
define install_optional
	@for tool in $(1); do command -v $$tool >/dev/null || missing=$$tool; done; \
	if [ -z "$$missing" ] || ! command -v apt-get >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=; elif command -v sudo >/dev/null; then sudo=sudo; else exit 0; fi; \
	echo "installing $(2)"; \
	{ $$sudo apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $(2); } >/dev/null 2>&1 || \
	  echo "not installed: $(2)"
endef

emulators:
	$(call install_optional,aarch64-linux-gnu-gcc qemu-aarch64,$(EMULATORS))

# For the tests of the page of spanqa inspect.
browser:
	$(call install_optional,chromium,$(BROWSER))

# A package of its own that depends on this one by path, as an embedder would.
example: packages
	cd Tests/Example && $(SWIFT) run -c release example && $(SWIFT) run -c release inside

# Builds what measures, which no test runs.
benchmarks: packages
	cd Benchmarks && $(SWIFT) build -c release

packages:
	@if command -v pkg-config >/dev/null && pkg-config --exists $(PC_NAMES); then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "make: install OpenBLAS, protobuf-c and pkg-config with your package manager, then run make again" >&2; exit 1; fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=; elif command -v sudo >/dev/null; then sudo=sudo; else \
	  echo "make: as root, run: apt-get install $(PACKAGES)" >&2; exit 1; fi; \
	echo "installing $(PACKAGES)"; \
	$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $(PACKAGES)

# The generated protobuf-c code is committed; run this after a change of onnx.proto (needs protobuf-c-compiler).
regenerate-onnx-proto:
	Sources/CONNXProto/regenerate.sh

clean:
	rm -rf .build dist Tests/Example/.build Benchmarks/.build
