# What can be done here. Each target says what it installs, and why, before it does.
.DEFAULT_GOAL := help
SHELL := /usr/bin/env bash
.PHONY: help demo programs test lint fmt docs-test plan-evidence bench fuzz soak unbundled-test validate validate-test compat-test recovery-times k8s-test infra-test infra-faults build-native build-docker images release-test clean up

help: ## show what can be done here
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## install what is missing, build, transcribe the bundled speech and find it by meaning
	@scripts/demo.sh

test: ## install what is missing, then run every test
	@scripts/test.sh

lint: ## formatting, clippy, licences, shell scripts, spelling, documents and their links
	@scripts/lint.sh

fmt: ## format the code
	@scripts/fmt.sh

docs-test: ## run the commands of the documents with the program that was built
	@scripts/docs-test.sh

plan-evidence: ## run every evidence command of docs/plan.md again, and write what it prints
	@scripts/plan-evidence.sh

bench: ## measure accuracy, speed and search, side by side with a peer
	@scripts/bench.sh

fuzz: ## look for input that breaks what reads messages, a minute a target
	@scripts/fuzz.sh

soak: ## kill the platform's parts at random while it is in use; takes an hour
	@scripts/soak.sh

unbundled-test: ## build speakr without models inside, and see that it takes them from a folder
	@scripts/unbundled-test.sh

k8s-test: ## test k8s/ and scripts/deploy on a Kubernetes (KUBECONFIG, or SPEAKR_K8S_RIG)
	@scripts/k8s-test.sh $(K8S_TEST)

programs: ## build all programs as the tests drive them (target/debug)
	@scripts/programs.sh

build-native: ## build the release binary for this machine
	@scripts/build-native.sh

build-docker: ## build the images of the platform with Nix, and load them into Docker
	@scripts/build-docker.sh

IMAGES_DIR ?= target/dist/images
images: ## build the images of the platform with Nix, as files
	@scripts/image-archives.sh $(IMAGES_DIR)

release-test: ## rehearse a release: a good one twice, and each planted fault; takes more than an hour
	@scripts/release-test.sh $(RELEASE_TEST)

clean: ## remove what was built, and the demo's scratch folder
	@scripts/clean.sh

up: ## start the whole platform on this machine, until Ctrl-C
	@scripts/up.sh

validate: ## show whether a platform does what it should; that of "make up", or SPEAKR_API_URL
	@scripts/validate.sh $(VALIDATE)

validate-test: ## test speakr-validate with all that an operator can give it; takes minutes
	@scripts/validate-test.sh

recovery-times: ## measure backups and restores of a platform with many recordings; takes minutes
	@scripts/recovery-times.sh $(RECORDINGS)

compat-test: ## run the last release's programs beside these, on this schema; takes minutes
	@scripts/compat-test.sh $(COMPAT)

infra-test: ## check what terraform/ makes of a cloud account, without one
	@scripts/infra-test.sh

infra-faults: ## plant mistakes in a copy of terraform/, and show that each is caught
	@scripts/infra-faults.sh
