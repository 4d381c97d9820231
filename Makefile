# make test    everything, against the real peers (installs them by apt where absent)
# make lint    what a machine can check without running the program
# make fuzz    every fuzz target for FUZZTIME each
# make bench   benchmarks
.PHONY: test lint peers fuzz bench
FUZZTIME ?= 60s

# interop is a module of its own: it alone links pion/webrtc and pion/turn v2.
MODULES = . interop

test: peers lint
	@for m in $(MODULES); do \
		(cd $$m && TURNGATE_PEERS=required go test -race -shuffle=on -timeout 20m ./...) || exit 1; \
	done

peers:
	@scripts/peers.sh

lint:
	@test -z "$$(gofmt -s -l .)" || { gofmt -s -l .; echo "run gofmt -s -w on these"; exit 1; }
	@for m in $(MODULES); do \
		(cd $$m && go vet ./... && go tool staticcheck ./... && go mod tidy -diff) || exit 1; \
	done

fuzz:
	@scripts/fuzz.sh $(FUZZTIME)

bench:
	go test -run '^$$' -bench . -benchmem ./...
