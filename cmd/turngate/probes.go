package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/loadtest"
	"github.com/turngate/turngate/harness/probe"
)

const managerPasswordVariable = "TURNGATE_SQUID_MANAGER_PASSWORD"

// probeFlags say how the proxy's machine is looked at.
type probeFlags struct {
	PID             int      `name:"proxy-pid" placeholder:"PID" help:"The proxy's process, if it runs on this machine: its CPU, memory and descriptors are recorded with those of its helpers."`
	SquidManager    string   `placeholder:"URL" help:"Ask the cache manager of the Squid at http://host:port. Its password, if it has one, is $$TURNGATE_SQUID_MANAGER_PASSWORD."`
	SNMP            string   `name:"snmp" placeholder:"HOST[:PORT]" help:"Ask an SNMP agent, for Squid's figures or --snmp-oid."`
	SNMPCommunity   string   `name:"snmp-community-file" placeholder:"FILE" help:"File with the community. Default: public."`
	SNMPOIDs        []string `name:"snmp-oid" placeholder:"NAME=OID" help:"What to ask for instead; of a NAME that ends with _per_s the growth is recorded. May be repeated."`
	Metrics         string   `name:"proxy-metrics" placeholder:"URL" help:"Read a Prometheus endpoint: http://host:9100/metrics."`
	MetricsSelected []string `name:"metric" placeholder:"NAME" help:"Metrics to keep of it. Default: those of a process and of node_exporter. May be repeated."`
}

// watches makes the probes. Those for which there is nothing to look at are left out.
func (f *probeFlags) watches() (list []loadtest.Watch, err error) {
	add := func(flag string, w loadtest.Watch, err error) error {
		if err != nil {
			return usageError{fmt.Errorf("%s: %w", flag, err)}
		}
		list = append(list, w)
		return nil
	}
	if f.PID != 0 {
		w, err := loadtest.WatchProcess(f.PID)
		if err := add("--proxy-pid", w, err); err != nil {
			return nil, err
		}
	}
	if f.SquidManager != "" {
		w, err := probe.NewSquid(f.SquidManager, os.Getenv(managerPasswordVariable))
		if err := add("--squid-manager", w, err); err != nil {
			return nil, err
		}
	}
	if f.SNMP != "" {
		w, err := f.snmp()
		if err := add("--snmp", w, err); err != nil {
			return nil, err
		}
	}
	if f.Metrics != "" {
		names := f.MetricsSelected
		if len(names) == 0 {
			names = probe.DefaultMetrics()
		}
		w, err := probe.NewMetrics(f.Metrics, names)
		if err := add("--proxy-metrics", w, err); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (f *probeFlags) snmp() (*probe.SNMP, error) {
	community := credentials.Secret("public")
	if f.SNMPCommunity != "" {
		secret, err := credentials.ReadSecret(f.SNMPCommunity)
		if err != nil {
			return nil, err
		}
		community = secret
	}
	oids := probe.SquidOIDs()
	if len(f.SNMPOIDs) > 0 {
		oids = make(map[string]string)
	}
	for _, item := range f.SNMPOIDs {
		name, oid, _ := strings.Cut(item, "=")
		oids[name] = oid
	}
	return probe.NewSNMP(f.SNMP, string(community), oids)
}

// lab adds what is known of a lab's proxy.
func (f *probeFlags) lab(pid int, product, url string) {
	f.PID = cmp.Or(f.PID, pid)
	if product == "squid" {
		f.SquidManager = cmp.Or(f.SquidManager, url)
	}
}
