package diagnosis

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"time"
)

// WriteJSON writes the report with its findings as one document of the format Format.
func WriteJSON(w io.Writer, r Report, findings []Finding) error {
	if findings == nil {
		findings = []Finding{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Report
		Through  bool      `json:"through"`
		Verdict  string    `json:"verdict"`
		Findings []Finding `json:"findings"`
		Browsers []Browser `json:"browsers,omitempty"`
	}{r, r.Through(), r.Verdict(), findings, Browsers(r)})
}

// WriteText writes all that there is to say in words: stages, details, findings, browsers.
func WriteText(w io.Writer, r Report, findings []Finding) {
	for _, s := range r.Stages {
		if s.Outcome != NotReached {
			io.WriteString(w, s.Line()+"\n")
		}
	}
	WritePolicy(w, r.Policy)
	WriteDirect(w, r.Direct)
	WriteDetails(w, &r)
	WriteFindings(w, &r, findings)
	WriteBrowsers(w, r)
}

// WriteBundle writes a .tar.gz to send to whoever is asked for help: check.txt, report.json, junit.xml
// and environment.json. It holds names and addresses of the company's network, and no secret.
func WriteBundle(w io.Writer, r Report, findings []Finding, env Environment) error {
	z := gzip.NewWriter(w)
	archive := tar.NewWriter(z)
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"check.txt", func(w io.Writer) error { WriteText(w, r, findings); return nil }},
		{"report.json", func(w io.Writer) error { return WriteJSON(w, r, findings) }},
		{"junit.xml", func(w io.Writer) error { return WriteJUnit(w, r, findings) }},
		{"environment.json", env.write},
	} {
		var content bytes.Buffer
		if err := f.write(&content); err != nil {
			return err
		}
		if err := addFile(archive, f.name, r.Started, content.Bytes()); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return z.Close()
}

func addFile(archive *tar.Writer, name string, at time.Time, content []byte) error {
	h := &tar.Header{Name: "turngate-check/" + name, Mode: 0o600, Size: int64(len(content)), ModTime: at}
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}
