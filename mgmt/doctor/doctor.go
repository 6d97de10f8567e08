// Package doctor looks at a host, at the desired state and at a running director for what keeps turnout from working well.
// Every finding says what was found, why it matters, and the one command, or edit, that mends it.
package doctor

import "fmt"

// Severity says how bad a finding is.
type Severity string

// The severities. An error keeps turnout from starting or clients from being served; a warning costs packets or time; a
// note may well be meant.
const (
	OK      Severity = "ok"
	Note    Severity = "note"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Finding is what a check found. Why and Mend are empty for OK.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Found    string   `json:"found"`
	Why      string   `json:"why,omitempty"`
	Mend     string   `json:"mend,omitempty"`
}

// Report is everything that was found, in the order of docs/doctor.md.
type Report struct {
	Findings []Finding `json:"findings"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
}

// NewReport counts findings.
func NewReport(findings []Finding) Report {
	r := Report{Findings: findings}
	for _, f := range findings {
		switch f.Severity {
		case Error:
			r.Errors++
		case Warning:
			r.Warnings++
		}
	}
	return r
}

// check is one thing to look at in a T.
type check[T any] struct {
	name string
	fine string            // what is said when there is no problem
	why  string            // why a problem matters
	run  func(T) []Finding // the problems; Check and Why are filled in
}

// found makes a problem. mend is the command or edit that mends it.
func found(s Severity, mend, format string, args ...any) Finding {
	return Finding{Severity: s, Found: fmt.Sprintf(format, args...), Mend: mend}
}

// examine runs all checks.
func examine[T any](checks []check[T], t T) (findings []Finding) {
	for _, c := range checks {
		problems := c.run(t)
		if len(problems) == 0 {
			findings = append(findings, Finding{Check: c.name, Severity: OK, Found: c.fine})
		}
		for _, p := range problems {
			p.Check, p.Why = c.name, c.why
			findings = append(findings, p)
		}
	}
	return findings
}

// described is a check as docs/doctor.md has it.
type described struct{ name, fine, why string }

func describe[T any](checks []check[T]) (all []described) {
	for _, c := range checks {
		all = append(all, described{c.name, c.fine, c.why})
	}
	return all
}
