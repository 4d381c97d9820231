# make test    everything, against the real peers (installs them by apt where absent)
# make lint    what a machine can check without running the program
# make fuzz    every fuzz target for FUZZTIME each
# make bench   benchmarks
# make bench-relay   coturn, pion and turngate beside each other, ROUNDS times: docs/performance.md
.PHONY: test lint peers fuzz bench bench-relay
FUZZTIME ?= 60s
ROUNDS ?= 5

# interop is a module of its own: it alone links pion/webrtc and pion/turn v2.
MODULES = . interop

# These measure time, so they have the machine to themselves.
TIMED = /harness/(loadgen|fleet|loadtest)$$
GOTEST = TURNGATE_PEERS=required go test -race -shuffle=on -timeout 20m

test: peers lint
	@for m in $(MODULES); do \
		(cd $$m && $(GOTEST) $$(go list ./... | grep -Ev '$(TIMED)')) || exit 1; \
	done
	@$(GOTEST) -p 1 $$(go list ./... | grep -E '$(TIMED)')

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

# On a machine with nothing else to do; 8 minutes, and root for the throttled link. The first CPU is the servers', the second the load's.
bench-relay: peers
	go run ./internal/relaybench -rounds $(ROUNDS) -seconds 1 -loads trains,lone
	go run ./internal/relaybench -rounds $(ROUNDS) -settle 1s -loads idle
	go run ./internal/relaybench -rounds $(ROUNDS) -seconds 2 -loads throttled
