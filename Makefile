# Two commands set a fresh Debian or Ubuntu machine up, and install what they
# need: make demo (a pipeline in containers) and make test (everything).
.PHONY: build demo test crash bench fuzz images tools test-tools vuln clean

# golden/tools.sh puts a Go there if the machine's is too old.
export PATH := $(CURDIR)/bin/go/bin:$(PATH)

GO = go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
# How long make fuzz runs each target.
FUZZTIME = 30s
# Containers need root; a user's own build cache stays the user's.
SUDO = $$([ "$$(id -u)" = 0 ] || echo sudo -E)

build: bin/cic

bin/cic: tools
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/cic ./cmd/cic

demo: bin/cic
	SUDO="$(SUDO)" golden/demo/run.sh bin/cic

test: test-tools images
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	CIC_TEST_IMAGES=$$PWD/bin/images $(GO) test -race -timeout 60m -exec "$(SUDO) env PATH=$$PATH" ./...
	golden/fuzz.sh 3000x ./compile ./compile/expr ./compile/pipeline ./compile/resolve ./compile/syntax

# The crash test at length.
crash: test-tools images
	CIC_CRASH_ROUNDS=200 CIC_REQUIRE_CONTAINERD=1 CIC_TEST_IMAGES=$$PWD/bin/images $(GO) test -count 1 -v -timeout 60m -exec "$(SUDO) env PATH=$$PATH" -run TestCrash ./golden

bench: test-tools images
	CIC_TEST_IMAGES=$$PWD/bin/images $(SUDO) env "PATH=$$PATH" $(GO) run ./golden/bench

fuzz: tools
	golden/fuzz.sh $(FUZZTIME)

images: bin/images/python.tar

bin/images/python.tar: golden/images/build.sh
	golden/images/build.sh bin/images

# What the machine must have; installs only what is missing.
tools:
	@golden/tools.sh

test-tools:
	@golden/tools.sh test

vuln:
	$(GO) run $(GOVULNCHECK) ./...

clean:
	rm -rf bin
