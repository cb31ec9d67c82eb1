# earpatch: `make demo` shows it, `make test` checks it; both install what they need.

PYTHON ?= python3
VENV ?= .venv
PEERS_VENV ?= .venv-peers
BIN := $(VENV)/bin
EARPATCH := $(BIN)/earpatch
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := pyproject.toml constraints.txt

# portaudio and a compiler, because PyAudio has no wheel for Linux
NODE_PACKAGES := python3-venv python3-dev gcc portaudio19-dev
TEST_PACKAGES := mosquitto mosquitto-clients pulseaudio pulseaudio-utils libasound2-plugins alsa-utils \
  valgrind
BOOT_PACKAGES := systemd-container mmdebstrap
POWER_PACKAGES := $(BOOT_PACKAGES) qemu-system-x86 e2fsprogs
ARM_PACKAGES := mmdebstrap arch-test qemu-user-static
INTEROP := .interop

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo install uninstall deb test lint types format builtin soak fuzz faults delivery \
  boot-test arm64 power-cuts budget bench bench-peers test-pythons interop proto clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/demo.stamp ## the product in a minute: no microphone, no broker, no other files
	$(EARPATCH) demo

test: lint types ## lint, types and tests
	$(BIN)/pytest -n 2

lint: $(VENV)/test.stamp ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test.stamp ## mypy, strict
	$(BIN)/mypy

format: $(VENV)/test.stamp ## let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

builtin: $(VENV)/test.stamp ## make the backbone in edge/builtin again
	$(BIN)/python -m convert.make_builtin

soak: $(VENV)/test.stamp ## slow evidence: memory while an hour of sound is converted
	$(BIN)/pytest -m soak -s

fuzz: $(VENV)/test.stamp ## slow evidence: damaged bundles, configurations, weights; a million commands
	$(BIN)/pytest -m fuzz -s

faults: $(VENV)/test.stamp ## slow evidence: a hundred faults of a microphone, an hour of overload
	$(BIN)/pytest -m faults -s

install: ## onto this computer: own user, /opt/earpatch, units; again for an upgrade (ROOT=, DESTDIR=)
	NODE_PACKAGES="$(NODE_PACKAGES)" PYTHON="$(PYTHON)" ROOT="$(ROOT)" DESTDIR="$(DESTDIR)" \
	  bash packaging/install install

uninstall: ## all of that but configuration and state; PURGE=1 these too
	ROOT="$(ROOT)" PURGE="$(PURGE)" bash packaging/install uninstall

deb: ## a Debian package in dist/ (ARCH=amd64 or arm64; OFFLINE=1 for nodes without a network)
	PYTHON="$(PYTHON)" ARCH="$(ARCH)" OFFLINE="$(OFFLINE)" bash packaging/deb

boot-test: $(VENV)/test.stamp ## slow evidence: a Debian that boots, installed into, watched, reloaded (root)
	bash .ci/system-packages $(BOOT_PACKAGES)
	$(BIN)/pytest -m boot -s

power-cuts: $(VENV)/test.stamp ## slow evidence: 50 power cuts of an emulated computer, and one at each write (root)
	bash .ci/system-packages $(POWER_PACKAGES)
	$(BIN)/pytest -m power -s

arm64: $(VENV)/test.stamp ## slow evidence: the arm64 package under QEMU beside this computer (root)
	bash .ci/system-packages $(ARM_PACKAGES)
	$(BIN)/pytest -m arm64 -s

delivery: $(VENV)/test.stamp ## slow evidence: 300 killed nodes, 100,000 waiting events
	$(BIN)/pytest -m delivery -s

budget: $(VENV)/test.stamp ## how many instructions a second of sound takes, and may take
	$(BIN)/pytest tests/convert/bench/test_instructions.py -s

bench: $(VENV)/test.stamp ## speed and memory beside the peers; with anomalib after `make bench-peers`
	$(PIP) --editable '.[bench]'
	$(EARPATCH) bench $(if $(wildcard $(PEERS_VENV)/peers.stamp),--peers-python $(PEERS_VENV)/bin/python)

bench-peers: ## anomalib and OpenVINO in an environment of their own: 6 GB
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/pip install --quiet 'anomalib>=2' openvino
	@touch $(PEERS_VENV)/peers.stamp

test-pythons: ## slow evidence: the demo and the node's tests on every supported Python found
	bash .ci/test-pythons

interop: $(INTEROP)/stamp ## Sparkplug readers of others, each in an environment of its own, and their tests
	$(BIN)/pytest tests/edge/sparkplug/test_interop.py -s

proto: $(INTEROP)/protoc/stamp ## make the module of edge/sparkplug/sparkplug_b.proto again
	$(INTEROP)/protoc/bin/python -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. \
	  edge/sparkplug/sparkplug_b.proto

clean: ## remove what the other targets made, but for the demo's output
	rm -rf $(VENV) $(INTEROP) .arm64 $(PEERS_VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "earpatch needs Python 3.10 to 3.13, $(PYTHON) is $$($(PYTHON) -V); try PYTHON=python3.11" >&2; \
	  exit 1; }
	bash .ci/system-packages $(NODE_PACKAGES)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/demo.stamp: $(VENV)/venv.stamp $(SOURCES)
	$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/test.stamp: $(VENV)/venv.stamp $(SOURCES)
	bash .ci/system-packages $(TEST_PACKAGES)
	$(PIP) --editable '.[demo,desktop,litert,signing,test]'
	@touch $@

# They pin versions of paho-mqtt and protobuf that earpatch can't use.
$(INTEROP)/stamp: $(VENV)/test.stamp
	$(PYTHON) -m venv $(INTEROP)/pysparkplug
	$(INTEROP)/pysparkplug/bin/pip install --quiet pysparkplug==0.6.1
	$(PYTHON) -m venv $(INTEROP)/mqtt-spb-wrapper
	$(INTEROP)/mqtt-spb-wrapper/bin/pip install --quiet mqtt-spb-wrapper==2.1.2
	command -v npm >/dev/null || bash .ci/system-packages nodejs npm
	mkdir -p $(INTEROP)/npm
	cd $(INTEROP)/npm && npm install --silent --no-fund --no-audit sparkplug-payload@1.0.3 mqtt@5
	@touch $@

# Its protobuf, 6.31, is the oldest that the generated module runs with.
$(INTEROP)/protoc/stamp:
	$(PYTHON) -m venv $(INTEROP)/protoc
	$(INTEROP)/protoc/bin/pip install --quiet grpcio-tools==1.74.0
	@touch $@
