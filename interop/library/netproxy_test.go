package library

import (
	"fmt"
	"net"

	"golang.org/x/net/proxy"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

// bypassing dials the hosts of a list directly and all others through the proxy. The list is that of
// NO_PROXY: "localhost,*.corp.example,10.0.0.0/8".
func bypassing(through *proxyconnect.Dialer, hosts string) proxy.ContextDialer {
	d := proxy.NewPerHost(through, proxy.Direct)
	d.AddFromString(hosts)
	return d
}

func Example_netProxy() {
	ctx, cancel := seconds(20)
	defer cancel()
	d := bypassing(&proxyconnect.Dialer{Proxy: proxyURL(lab.SchemeNone)}, "127.0.0.0/8")
	_, port, _ := net.SplitHostPort(corp.TURN.TCP)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
		if err != nil {
			fmt.Println(err)
			continue
		}
		defer conn.Close()
		_, tunnel := conn.(*proxyconnect.Conn)
		fmt.Printf("%s through the proxy: %v\n", host, tunnel)
	}
	// Output:
	// localhost through the proxy: true
	// 127.0.0.1 through the proxy: false
}
