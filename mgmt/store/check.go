package store

import (
	"fmt"
	"strconv"
	"strings"
)

// HealthChecks are the checks that a real server must all pass. A decoded service has one at least.
type HealthChecks []HealthCheck

// HealthCheck is one kind of probe and how its results are counted. With type none all else is zero. It is comparable:
// services whose checks are equal share the probes.
type HealthCheck struct {
	Type     CheckType `yaml:"type" json:"type"`
	Port     uint16    `yaml:"port,omitempty" json:"port,omitzero"` // the service's own unless given, where the protocols agree
	Interval Duration  `yaml:"interval,omitempty" json:"interval,omitzero"`
	Timeout  Duration  `yaml:"timeout,omitempty" json:"timeout,omitzero"`
	Rise     int       `yaml:"rise,omitempty" json:"rise,omitzero"` // successes in a row that bring a real server up
	Fall     int       `yaml:"fall,omitempty" json:"fall,omitzero"` // failures in a row that take it down
	Initial  Initial   `yaml:"initial,omitempty" json:"initial,omitempty"`
	Via      Via       `yaml:"via,omitempty" json:"via,omitempty"` // see PathProbe

	// http and https
	Host      string    `yaml:"host,omitempty" json:"host,omitempty"`             // Host header; the real server's address unless given
	Path      string    `yaml:"path,omitempty" json:"path,omitempty"`             // "/" unless given
	Status    StatusSet `yaml:"status,omitempty" json:"status,omitempty"`         // 200-299 unless given
	Body      string    `yaml:"body,omitempty" json:"body,omitempty"`             // text that the body must hold
	BodyRegex string    `yaml:"body_regex,omitempty" json:"body_regex,omitempty"` // RE2 expression that must match in the body
	SNI       string    `yaml:"sni,omitempty" json:"sni,omitempty"`               // https: name asked for; that of Host unless given
	TLSVerify bool      `yaml:"tls_verify,omitempty" json:"tls_verify,omitempty"` // https: the certificate must be valid, for that name

	// udp
	Send    string `yaml:"send,omitempty" json:"send,omitempty"`         // payload as text
	SendHex string `yaml:"send_hex,omitempty" json:"send_hex,omitempty"` // or in hexadecimal
	Reply   bool   `yaml:"reply,omitempty" json:"reply,omitempty"`       // an answer must come

	// dns
	Query     string `yaml:"query,omitempty" json:"query,omitempty"` // name asked for
	QueryType string `yaml:"query_type,omitempty" json:"query_type,omitempty"`
	Rcode     string `yaml:"rcode,omitempty" json:"rcode,omitempty"` // what the answer must say

	// exec
	File string `yaml:"file,omitempty" json:"file,omitempty"` // name of a file in health.exec_dir
}

// CheckType names a kind of health check.
type CheckType string

// The checks there are; none means always up.
const (
	CheckNone  CheckType = "none"
	CheckTCP   CheckType = "tcp"
	CheckHTTP  CheckType = "http"
	CheckHTTPS CheckType = "https"
	CheckICMP  CheckType = "icmp"
	CheckUDP   CheckType = "udp"
	CheckDNS   CheckType = "dns"
	CheckExec  CheckType = "exec"
)

// Initial is what a new real server is taken for until a check has proven it up or down.
type Initial string

// A new real server is down unless its checks say otherwise.
const (
	InitialDown Initial = "down"
	InitialUp   Initial = "up"
)

// Via says which way must be open for a real server to be up.
type Via string

// By RIP, the check alone counts. By DR, the path probe must pass as well: a connection to the VIP, in a frame for the real
// server's MAC, as clients' packets come.
const (
	ViaRIP Via = "rip"
	ViaDR  Via = "dr"
)

// StatusSet lists HTTP status codes and ranges of them with commas between: "200-299,301". The empty one means 200-299.
type StatusSet string

const usualStatus StatusSet = "200-299"

// String is the list, the usual one if s is empty.
func (s StatusSet) String() string {
	if s == "" {
		return string(usualStatus)
	}
	return string(s)
}

// Contains says whether a status code is in the list. What is no range holds no code.
func (s StatusSet) Contains(code int) bool {
	for item := range strings.SplitSeq(s.String(), ",") {
		if least, most, err := statusRange(item); err == nil && least <= code && code <= most {
			return true
		}
	}
	return false
}

// validate returns what is wrong with the list.
func (s StatusSet) validate() error {
	for item := range strings.SplitSeq(s.String(), ",") {
		if _, _, err := statusRange(item); err != nil {
			return err
		}
	}
	return nil
}

// statusRange reads one code or two with a dash between. Codes below 200 are never the last word (RFC 9110 section 15.2).
func statusRange(item string) (least, most int, err error) {
	first, last, isRange := strings.Cut(item, "-")
	if !isRange {
		last = first
	}
	least, errLeast := strconv.Atoi(first)
	most, errMost := strconv.Atoi(last)
	if errLeast != nil || errMost != nil || least < 200 || most > 599 || least > most {
		return 0, 0, fmt.Errorf("%q: write codes of 200 to 599 and ranges of them, such as 200-299,301", item)
	}
	return least, most, nil
}
