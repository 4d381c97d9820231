package diagnosis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// turnError keeps the server's code.
func (w *walk) turnError(c *turntcp.Client, err error) error {
	var te *turntcp.Error
	if errors.As(err, &te) {
		w.report.TURNCode = te.Code
		return err
	}
	return ended(c, err)
}

// direct tries the same server without the proxy. It sends no password.
func (w *walk) direct(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, min(w.timeout(), directTimeout))
	defer cancel()
	start := time.Now()
	d := &Direct{Reached: "nothing"}
	if err := d.reach(ctx, w.TURN); err != nil {
		d.Error = err.Error()
	}
	d.Milliseconds = milliseconds(time.Since(start))
	w.report.Direct = d
}

func (d *Direct) reach(ctx context.Context, t TURN) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return err
	}
	d.Reached = "TCP"
	if t.Secure {
		config := t.config()
		secure := tls.Client(conn, config)
		err := secure.HandshakeContext(ctx)
		d.TLS = describeTLS(secure.ConnectionState(), config.ServerName, err)
		if err != nil {
			conn.Close()
			return err
		}
		conn, d.Reached = secure, "TLS"
	}
	client := turntcp.NewClient(conn, turntcp.ClientConfig{})
	defer client.Close()
	if _, err := client.Binding(ctx); err != nil {
		return ended(client, err)
	}
	d.Reached = "STUN"
	return nil
}
