SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The port of `make demo`.
export DEMO_PORT ?= 8080
# How long `make fuzz` spends on each target.
FUZZTIME ?= 10s
# Where `make image` leaves the image, and what it is called there and in a registry.
IMAGE_DIR ?= .image
IMAGE_TAG ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo latest)
# What `make test-envoys` leaves to `make test`.
OF_TIME = TestTenSecondTokens|TestAThousandRequestsOnADueSession|TestSIGTERMFinishesRefreshesUnderWay|TestASecondSignalStopsAtOnce

.PHONY: help demo demo-replicas ci test test-envoys test-providers test-replicas soak-providers long day crash crash-short soak soak-short k8s-check outage restart-large bench-quick sizing bench fuzz lint vet build envoy k8s-test image test-image test-alerts

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

demo: envoy build ## run everything on this machine: http://localhost:$DEMO_PORT/ (8080)
	@go build -o bin/demo ./test/demo
	@exec bin/demo

demo-replicas: envoy build ## the same with two replicas over one Redis, behind one port: needs redis-server
	@go build -o bin/demo ./test/demo
	@exec bin/demo -replicas 2

# The last one's closing lines are the run's.
ci: lint long test-providers test-replicas crash-short soak-short k8s-check test-image test-alerts test-envoys bench-quick test ## everything that must hold before a change is taken

test: envoy vet ## install what is needed and run every test
	go test -race -timeout 20m ./...

# Most of the suite waits, so eight tests run at a time. Those that are left out wait longest,
# for tokens to age and for processes to end, which is the same behind every Envoy. A filter that
# leaves nothing would pass: hence awk.
test-envoys: ## the facts about Envoy and the end-to-end tests on each supported version, and behind what a mesh sends; no race detector
	@go build -o bin/getenvoy ./test/getenvoy
	@versions=$$(bin/getenvoy -versions); failed=; \
	for version in $$versions; do \
		export ENVOYTEST_VERSION=$$version; \
		envoy=$$(bin/getenvoy); "$$envoy" --version; \
		go test -count=1 -parallel 8 -skip '^($(OF_TIME))$$' ./test/envoytest ./test/e2e \
			| awk '{ print } /no test(s to run| files)/ { empty = 1 } END { exit empty }' || failed+=" $$version"; \
	done; \
	echo "what a mesh sends: envoy/bare.yaml"; \
	STACK_BOOTSTRAP=envoy/bare.yaml go test -count=1 -parallel 8 -skip '^($(OF_TIME))$$' ./test/e2e || failed+=" behind a mesh"; \
	if [ -n "$$failed" ]; then echo "failed on Envoy$$failed"; exit 1; fi

test-providers: envoy ## exactly one refresh, on npm's oidc-provider and on Keycloak, which are installed
	go test -tags providers -count=1 -timeout 20m -v ./test/providers

# Most of it waits, for tokens to age and for servers to be missed: hence so many at a time.
soak-providers: envoy ## the same with ten minutes of mixed traffic on each
	go test -tags providers -count=1 -timeout 60m -v ./test/providers -args -mixed 10m

long: day ## the long suites at full size, without the race detector
	go test -count=1 -timeout 20m -run '^(TestAHundredThousandLogins|TestHalfAnHourOfOutage)$$' ./pkg/refresh
	go test -count=1 -timeout 20m ./test/schedules -rapid.checks=20000

# Fake time gains nothing from a second processor, so there are two processes of one each.
day: ## a day of users in fake time, at every token life
	@mkdir -p bin
	go test -c -o bin/product.test ./test/product
	@cd test/product; \
	day() { GOMAXPROCS=1 ../../bin/product.test -test.v -test.timeout 20m -test.run "^TestADay$$/$$1" | awk '/requests:|^ *--- |FAIL/'; }; \
	failed=0; day '^(10|30)s' & short=$$!; \
	day '^[0-9]+[mh]' || failed=1; \
	wait $$short && exit $$failed

crash: envoy ## kill -9 at six points of a refresh, with two kinds of provider, 200 times each
	$(killing) -timeout 60m -args -rounds 200

crash-short: envoy ## the same, 40 times each
	$(killing) -timeout 15m -args -rounds 40

# All at the same time: most of it is waiting for tokens to expire.
killing = go test -tags crash -count=1 -parallel 12 ./test/crash

soak: envoy ## half an hour of 2,000 users at a provider that fails in every way
	SOAK_FOR=30m go test -tags soak -count=1 -timeout 50m -v -run '^TestSoak$$' ./test/soak

# Two thirds of SOAK_FOR: what a provider with a grace adds is in crash-short too.
soak-short: envoy ## two minutes of the same, at the strict provider
	SOAK_FOR=3m go test -tags soak -count=1 -timeout 10m -v -run '^TestSoak$$/^strict$$' ./test/soak

test-replicas: envoy ## replicas over one Redis, which fails in every way: crowds, kills, histories, costs; redis-server has to be there
	go test -tags replicas -count=1 -parallel 6 -timeout 20m -v ./test/replicas

# The tools are built outside of the test's clock.
k8s-check: ## the Helm chart and the manifests of k8s: rendered, linted, judged by Kubernetes' schemas and CRDs, bad values refused
	@go build -o bin/gettool ./test/gettool
	@bin/gettool helm kubectl helm-unittest kubectl-validate crds
	go test -tags kubernetes -count=1 -timeout 10m ./test/chart

# The control plane is built outside of the test's clock: ten minutes, the first time.
k8s-test: ## the chart and the manifests at a real kube-apiserver, which is built the first time
	@go build -o bin/gettool ./test/gettool
	@bin/gettool etcd kube-apiserver kubectl helm mesh-config crds
	go test -tags kubernetes -count=1 -timeout 15m -v ./test/kubernetes

restart-large: envoy ## kill -9 under load with 1,000 and 100,000 sessions in the embedded store: how many requests fail
	go test -tags soak -count=1 -timeout 20m -v -run '^TestKilledWithManySessions$$' ./test/soak

# All at the same time: most of it is waiting for what an alert waits for.
test-alerts: envoy ## the chart's alerts fire in a real Prometheus when they should, and not in health; the dashboard shows what there is; redis-server has to be there
	go test -tags alerts -count=1 -parallel 16 -timeout 10m -v ./test/alerts

outage: envoy ## a provider that is away or slow, beside Fresh sessions: ratios of p99, in six minutes
	go test -tags soak -count=1 -timeout 20m -v -run '^(TestOutage|TestSlowProvider)$$' ./test/soak

bench-quick: ## a Fresh-hit Check through the product beside a no-op server, as a ratio
	go test -run '^$$' -bench . ./test/bench

sizing: ## memory, processor time and file sizes with up to 100,000 sessions in the embedded store
	go test -tags sizing -count=1 -timeout 30m -v -run '^TestSizing$$' ./test/bench

bench: ## a sweep of 300 due sessions among a million beside one among 10,000: within 2x, or it fails
	go test -run '^$$' -bench SweepCost -timeout 30m ./pkg/refresh

fuzz: ## run every fuzz target for $FUZZTIME (10s)
	@packages=$$(go list ./...); \
	for package in $$packages; do \
		targets=$$(go test -list '^Fuzz' "$$package"); \
		for target in $$(awk '/^Fuzz/' <<< "$$targets"); do \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package"; \
		done; \
	done

lint: vet ## gofmt and go vet
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "gofmt these files:"; echo "$$unformatted"; exit 1; fi

vet:
	go vet ./...
	go vet -tags soak ./test/soak
	go vet -tags crash ./pkg/app ./test/crash
	go vet -tags providers ./test/providers
	go vet -tags replicas ./test/replicas
	go vet -tags kubernetes ./test/chart ./test/kubernetes
	go vet -tags image ./test/image
	go vet -tags alerts ./test/alerts
	go vet -tags sizing ./test/bench

build: ## build the commands into bin/
	go build -o bin/ ./cmd/...

# Every build begins with nothing, and takes its date from the commit, so that the same sources
# make the same image. The user is in no file of the image: Kubernetes wants a number.
image: ## build the container image, for amd64 and arm64, into .image/; KO_DOCKER_REPO=registry/you pushes it too
	@go build -o bin/ ./test/gettool ./test/scratchbase
	@rm -rf "$(or $(IMAGE_DIR),$(error IMAGE_DIR is empty))"/{cache,oci,sbom}; \
	ko=$$(bin/gettool ko); \
	KO_DEFAULTBASEIMAGE=$$(bin/scratchbase "$(IMAGE_DIR)/cache/img"); \
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 0); \
	export KO_DEFAULTBASEIMAGE SOURCE_DATE_EPOCH KOCACHE="$(IMAGE_DIR)/cache"; \
	"$$ko" build --push=$(if $(KO_DOCKER_REPO),true,false) --base-import-paths --tags "$(IMAGE_TAG)" \
		--image-user 65532:65532 --image-label "org.opencontainers.image.title=lamplighter,org.opencontainers.image.version=$(IMAGE_TAG)" \
		--oci-layout-path "$(IMAGE_DIR)/oci" --sbom-dir "$(IMAGE_DIR)/sbom" ./cmd/lamplighter; \
	rm -rf "$(IMAGE_DIR)/cache"

test-image: envoy ## build the image twice, push it to a registry on loopback, and run it from its files; wants root
	go test -tags image -count=1 -timeout 20m -v ./test/image

envoy: ## get a real Envoy: the one on PATH, else a pinned build into .envoy/
	@go build -o bin/getenvoy ./test/getenvoy
	@envoy=$$(bin/getenvoy); "$$envoy" --version
