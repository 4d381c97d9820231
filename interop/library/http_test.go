package library

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

// httpClient makes every connection by CONNECT, those for http:// URLs too.
func httpClient(through *proxyconnect.Dialer) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       through.DialContext, // and no Proxy
		ForceAttemptHTTP2: true,                // a DialContext would turn it off
	}}
}

func Example_http() {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello from behind the proxy")
	}))
	defer site.Close()
	client := httpClient(&proxyconnect.Dialer{
		Proxy:      proxyURL(lab.SchemeNTLM),
		Mechanisms: []proxyconnect.Mechanism{ntlmMechanism("NTLM", corp.User.Name, corp.User.Password)},
	})
	defer client.CloseIdleConnections()
	response, err := client.Get(site.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Print(string(body), err)
	// Output:
	// hello from behind the proxy
	// <nil>
}
