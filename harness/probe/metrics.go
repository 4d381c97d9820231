package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxMetrics bounds what is read of an endpoint, in bytes.
const maxMetrics = 8 << 20

// DefaultMetrics are what is kept of an endpoint that offers it: of a process, of a machine with
// node_exporter.
func DefaultMetrics() []string {
	return []string{
		"process_cpu_seconds_total", "process_open_fds", "process_max_fds", "process_resident_memory_bytes",
		"node_cpu_seconds_total", "node_load1", "node_memory_MemAvailable_bytes", "node_filefd_allocated", "node_sockstat_TCP_tw",
		"node_netstat_Tcp_RetransSegs", "node_network_receive_bytes_total", "node_network_transmit_bytes_total",
	}
}

// A Metrics reads an endpoint in the Prometheus text format. The series of a name are added up:
// "prom.NAME" is a gauge, "prom.NAME_per_s" what a counter grows by. Of node_cpu_seconds_total the
// modes idle and iowait do not count, so that its rate is in cores; of node_network_* the loopback.
type Metrics struct {
	endpoint string
	names    []string
	client   *http.Client
	rates    rates
}

// NewMetrics takes the endpoint's URL and the names of the metrics to keep.
func NewMetrics(endpoint string, names []string) (*Metrics, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return nil, errors.New("that is no URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return nil, errors.New("want http://host:port/metrics, without a user")
	case len(names) == 0:
		return nil, errors.New("no metric was named")
	}
	return &Metrics{endpoint: u.String(), names: names, client: plainClient()}, nil
}

// String names the endpoint.
func (m *Metrics) String() string { return "metrics of " + m.endpoint }

// Close closes the connection.
func (m *Metrics) Close() { m.client.CloseIdleConnections() }

// Sample reads the endpoint once.
func (m *Metrics) Sample(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.endpoint, nil)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", m, err)
	}
	req.Header.Set("Accept", "text/plain; version=0.0.4")
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", m, errors.Unwrap(err)) // without the URL once more
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%v: the answer is %s", m, resp.Status)
	}
	values, err := m.read(io.LimitReader(resp.Body, maxMetrics))
	if err != nil {
		return nil, fmt.Errorf("%v: %w", m, err)
	}
	if len(values) == 0 && len(m.rates.last) == 0 {
		return nil, fmt.Errorf("%v has none of %s", m, strings.Join(m.names, ", "))
	}
	return values, nil
}

func (m *Metrics) read(r io.Reader) (map[string]float64, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, err
	}
	values, growing := make(map[string]float64), make(map[string]float64)
	for name, f := range families {
		if !slices.Contains(m.names, name) {
			continue
		}
		// node_exporter calls what it takes from /proc/net/snmp untyped, counters as well.
		counter := f.GetType() == dto.MetricType_COUNTER || strings.HasPrefix(name, "node_netstat_")
		for _, series := range f.GetMetric() {
			switch {
			case !counted(name, series):
			case counter:
				growing["prom."+name+"_per_s"] += series.GetCounter().GetValue() + series.GetUntyped().GetValue()
			default:
				values["prom."+name] += series.GetGauge().GetValue() + series.GetUntyped().GetValue()
			}
		}
	}
	for name, rate := range m.rates.next(time.Now(), growing) {
		values[name] = rate
	}
	return values, nil
}

func counted(name string, series *dto.Metric) bool {
	return !slices.ContainsFunc(series.GetLabel(), func(l *dto.LabelPair) bool {
		switch v := l.GetValue(); l.GetName() {
		case "mode":
			return name == "node_cpu_seconds_total" && (v == "idle" || v == "iowait")
		case "device":
			return strings.HasPrefix(name, "node_network_") && v == "lo"
		}
		return false
	})
}
