package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

// Faults lists what Faulty plays: the proxies' own faults, then those of a KDC and of a TURN server
// behind a sound proxy.
func Faults() []testproxy.FaultInfo {
	all := testproxy.Faults()
	for _, f := range kdcFaults {
		all = append(all, f.FaultInfo)
	}
	for _, f := range turnFaults {
		all = append(all, f.FaultInfo)
	}
	return all
}

// CheckFault says what is wrong with the name of a fault or its argument.
func CheckFault(fault string) error {
	if findFault(kdcFaults, fault) != nil || findFault(turnFaults, fault) != nil {
		return nil
	}
	_, err := testproxy.ParseFault(fault)
	return err
}

// Faulty starts an embedded proxy that plays a fault (see Faults), or that is sound before a KDC or a
// TURN server that plays it; it ends with the lab.
func (l *Lab) Faulty(fault, scheme string) (Proxy, error) {
	if l.embedded == nil {
		return Proxy{}, fmt.Errorf("the %s lab plays no faults", l.Name)
	}
	if f := findFault(kdcFaults, fault); f != nil {
		return l.embedded.beforeKDC(f)
	}
	if f := findFault(turnFaults, fault); f != nil {
		return l.embedded.beforeTURN(f, scheme)
	}
	f, err := testproxy.ParseFault(fault)
	if err != nil {
		return Proxy{}, err
	}
	return l.embedded.proxy(scheme, false, f)
}

type kdcFault struct {
	testproxy.FaultInfo
	unknown bool // it knows no service for the proxy
	play    kerberostest.Faults
	user    bool // the fault is about the lab's user
}

type turnFault struct {
	testproxy.FaultInfo
	serve func(net.Conn)
}

func (f kdcFault) name() string  { return f.Name }
func (f turnFault) name() string { return f.Name }

func findFault[F interface{ name() string }](table []F, name string) *F {
	for i := range table {
		if table[i].name() == name {
			return &table[i]
		}
	}
	return nil
}

var kdcFaults = []kdcFault{
	{FaultInfo: info("kdc.spn-unknown", 21, "the KDC knows no service for the proxy"), unknown: true},
	{FaultInfo: info("kdc.other-key", 25, "the KDC's key of the service is not the one in the proxy's keytab")},
	{FaultInfo: info("kdc.skew", 26, "the KDC's clock is an hour ahead"), play: kerberostest.Faults{Skew: time.Hour}},
	{FaultInfo: info("kdc.etype", 28, "the KDC refuses all encryption types"), play: kerberostest.Faults{RefuseEtypes: []int32{17, 18, 19, 20, 23}}},
	{FaultInfo: info("kdc.locked", 0, "the account is locked"), user: true},
	{FaultInfo: info("kdc.unavailable", 0, "the KDC says that it is out of service"), play: kerberostest.Faults{Unavailable: true}},
	{FaultInfo: info("kdc.silent", 27, "the KDC does not answer"), play: kerberostest.Faults{DropUDP: true, DropTCP: true}},
}

var turnFaults = []turnFault{
	{info("turn.silent", 0, "the TURN server accepts connections and says nothing"), func(c net.Conn) { io.Copy(io.Discard, c) }},
	{info("turn.http", 0, "a web server in the place of the TURN server"), func(c net.Conn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}},
	{info("turn.closes", 0, "the TURN server closes at the first bytes"), func(c net.Conn) { c.Read(make([]byte, 1)) }},
}

func info(name string, row int, text string) testproxy.FaultInfo {
	return testproxy.FaultInfo{Name: name, Row: row, Text: text}
}

// beforeKDC is a Kerberos proxy whose clients are to use a KDC of its own.
func (e *embedded) beforeKDC(f *kdcFault) (Proxy, error) {
	kdc := &kerberostest.KDC{Realm: e.lab.Realm}
	errs := []error{kdc.AddUser(e.lab.User.Name, e.lab.User.Password)}
	if !f.unknown {
		errs = append(errs, kdc.AddService("HTTP/"+host))
	}
	if err := errors.Join(append(errs, kdc.Start())...); err != nil {
		return Proxy{}, err
	}
	e.lab.onClose(kdc.Close)
	play := f.play
	if f.user {
		play.Revoked = []string{e.lab.User.Name}
	}
	kdc.SetFaults(play)
	p, err := e.proxy(SchemeKerberos, false)
	p.Krb5Conf = kdc.Config()
	return p, err
}

// beforeTURN is a sound proxy, to be used with a TURN server of its own.
func (e *embedded) beforeTURN(f *turnFault, scheme string) (Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Proxy{}, err
	}
	s := &badServer{listener: listener, serve: f.serve, conns: make(map[net.Conn]struct{})}
	s.work.Go(s.accept)
	e.lab.onClose(s.close)
	p, err := e.proxy(scheme, false)
	p.TURN = named(listener.Addr().String())
	return p, err
}

// A badServer does to every connection what its fault says.
type badServer struct {
	listener net.Listener
	serve    func(net.Conn)
	work     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	ended bool
}

func (s *badServer) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.ended {
			c.Close()
		}
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.work.Go(func() {
			s.serve(c)
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

func (s *badServer) close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.ended = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
	return err
}
