package turntcp

import (
	"bufio"
	"encoding/json"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// siegeVariable makes the test binary a server to be attacked: its settings as JSON.
const siegeVariable = "TURNGATE_TEST_SIEGE"

type siegeSettings struct{ Descriptors uint64 } // 0: as many as there may be

// siegeState is what the server says of itself, at its start and whenever it is asked by a line.
type siegeState struct {
	TCP, TLS                 string // addresses
	Certificate              []byte // of the TLS port
	Connections, Allocations int
	Goroutines               int
	Memory                   uint64 // bytes in use, after a garbage collection
}

// serveSiege serves until standard input ends.
func serveSiege(settings string) {
	var s siegeSettings
	if json.Unmarshal([]byte(settings), &s) != nil || limitDescriptors(s.Descriptors) != nil {
		os.Exit(2)
	}
	srv, err := NewServer(Config{
		Realm: testRealm, Credentials: StaticCredentials(map[string]string{testUser: testPassword, "bob": "bob's"}),
		RelayIP: loopback, AllowPeers: PrivatePeers(), TLS: serverCertificate(), MaxConnections: 15000,
		WriteTimeout: time.Second, HandshakeTimeout: 2 * time.Second,
		// How late traffic comes is not the question, but what is lost.
		MaxQueueDelay: 10 * time.Second,
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		os.Exit(2)
	}
	defer srv.Close()
	tcp, err1 := srv.ListenTCP("127.0.0.1:0")
	secure, err2 := srv.ListenTLS("127.0.0.1:0")
	if err1 != nil || err2 != nil {
		os.Exit(2)
	}
	cert, _ := certificate()
	out, in := json.NewEncoder(os.Stdout), bufio.NewScanner(os.Stdin)
	for {
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_ = out.Encode(siegeState{tcp.String(), secure.String(), cert.Certificate[0], srv.Connections(), srv.Allocations(), runtime.NumGoroutine(), m.HeapAlloc + m.StackInuse})
		if !in.Scan() {
			return
		}
	}
}
