package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/goccy/go-yaml"

	"turnout/lcore"
)

const (
	alertsFile    = "../../docs/prometheus/alerts.yaml"
	alertTests    = "testdata/alerts.test.yaml"
	dashboardFile = "../../docs/grafana/turnout.json"
)

type alert struct {
	Alert       string
	Expr        string
	For         string
	Labels      struct{ Severity string }
	Annotations struct{ Summary, Action string }
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	if err := yaml.UnmarshalWithOptions(read(t, alertsFile), &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return file.Groups[0].Rules
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// query is an expression of PromQL, and what is written with its labels ({{ $labels.port }}, {{port}}).
type query struct{ place, expr, text string }

func TestAlertsNameWhatIsExposed(t *testing.T) {
	tests, all := string(read(t, alertTests)), exposed(t)
	for _, a := range alerts(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels.Severity) || a.For == "" || a.Annotations.Summary == "" || a.Annotations.Action == "" {
			t.Errorf("%+v: want a severity, a time, a summary and what to do", a)
		}
		if !strings.Contains(tests, "alertname: "+a.Alert+"\n") || !strings.Contains(tests, "alertname: "+a.Alert+",") {
			t.Errorf("%s: %s has no case in which it fires, or none in which it does not", a.Alert, alertTests)
		}
		for _, mistake := range all.mistakes(query{a.Alert, a.Expr, a.Annotations.Summary}) {
			t.Errorf("%s: %s", a.Alert, mistake)
		}
	}
}

func TestDashboardNamesWhatIsExposed(t *testing.T) {
	queries, all := dashboard(t), exposed(t)
	if len(queries) < 40 {
		t.Errorf("%d queries: they are looked for in the wrong place", len(queries))
	}
	for _, q := range queries {
		for _, mistake := range all.mistakes(q) {
			t.Errorf("%s: %s", q.place, mistake)
		}
	}
}

// dashboard lists the queries of the dashboard, wherever they stand in it.
func dashboard(t *testing.T) (queries []query) {
	t.Helper()
	var root any
	if err := json.Unmarshal(read(t, dashboardFile), &root); err != nil {
		t.Fatal(err)
	}
	var walk func(place string, node any)
	walk = func(place string, node any) {
		switch n := node.(type) {
		case []any:
			for _, item := range n {
				walk(place, item)
			}
		case map[string]any:
			if title, ok := n["title"].(string); ok {
				place = title
			}
			if expr, ok := n["expr"].(string); ok {
				queries = append(queries, query{place, expr, fmt.Sprint(n["legendFormat"])})
			}
			if definition, ok := n["definition"].(string); ok {
				queries = append(queries, query{"variable " + fmt.Sprint(n["name"]), definition, ""})
			}
			for _, key := range slices.Sorted(maps.Keys(n)) {
				walk(place, n[key])
			}
		}
	}
	walk("", root)
	return queries
}

var (
	selector = regexp.MustCompile(`\b((?:turnout|process|go|promhttp)_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	labelUse = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
)

// targetLabels are those that Prometheus gives every series of a target.
var targetLabels = []string{"instance", "job"}

// series are the names that a scrape of turnout has, with their labels.
type series map[string][]string

// exposed are the series of turnout.
func exposed(t *testing.T) series {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrape(t, NewRegistry(fakeSource{}, Options{RealServers: true}))))
	if err != nil {
		t.Fatal(err)
	}
	all := series{"up": nil}
	for name, family := range families {
		var labels []string
		for _, pair := range family.Metric[0].Label {
			labels = append(labels, pair.GetName())
		}
		if family.GetType() != dto.MetricType_HISTOGRAM {
			all[name] = labels
			continue
		}
		all[name+"_sum"], all[name+"_count"], all[name+"_bucket"] = labels, labels, append(slices.Clone(labels), "le")
	}
	return all
}

// mistakes of a query: metrics that are not exposed, and labels that none of its metrics has.
func (s series) mistakes(q query) (all []string) {
	labels := slices.Clone(targetLabels)
	for _, m := range selector.FindAllStringSubmatch(q.expr, -1) {
		known, ok := s[m[1]]
		if !ok {
			all = append(all, "there is no metric "+m[1])
		}
		all = append(all, matcherMistakes(m[1], slices.Concat(known, targetLabels), m[2])...)
		labels = append(labels, known...)
	}
	for _, label := range labelsUsed(q) {
		if !slices.Contains(labels, label) {
			all = append(all, "no metric of "+q.expr+" has the label "+label)
		}
	}
	return all
}

// labelsUsed are the labels beside those of selectors: by which is grouped, and which are written.
func labelsUsed(q query) (labels []string) {
	for _, g := range grouping.FindAllStringSubmatch(q.expr, -1) {
		for label := range strings.SplitSeq(g[1], ",") {
			labels = append(labels, strings.TrimSpace(label))
		}
	}
	for _, use := range labelUse.FindAllStringSubmatch(q.text, -1) {
		labels = append(labels, use[1])
	}
	return labels
}

// matcherMistakes are those in the braces of a selector. Where the values of a label are a closed list, each must be there.
func matcherMistakes(metric string, known []string, braces string) (all []string) {
	values := map[string][]string{
		"reason": names[lcore.Reason](lcore.Reasons), "role": {"active", "standby"}, "result": {"packets", "empty", "passed", "failed"},
	}
	for _, m := range matcher.FindAllStringSubmatch(braces, -1) {
		label, closed := m[1], values[m[1]]
		if !slices.Contains(known, label) {
			all = append(all, metric+" has no label "+label)
		}
		for part := range strings.SplitSeq(m[3], "|") {
			if len(closed) > 0 && !slices.ContainsFunc(closed, regexp.MustCompile("^(?:"+part+")$").MatchString) {
				all = append(all, label+" is never "+part)
			}
		}
	}
	return all
}

func names[T interface {
	~uint8
	String() string
}](end T) (all []string) {
	for i := range end {
		all = append(all, i.String())
	}
	return all
}

// What is not exposed, or written wrong, is found.
func TestQueriesCanFail(t *testing.T) {
	for _, q := range []query{
		{"no such metric", `rate(turnout_nothing_total[5m])`, ""},
		{"a histogram without its suffix", `turnout_lcore_burst_size`, ""},
		{"no such label", `turnout_role{rule="active"}`, ""},
		{"no such reason", `turnout_drops_total{reason=~"loop|loops"}`, ""},
		{"grouped by no label of it", `sum by (port) (turnout_drops_total)`, ""},
		{"written with no label of it", `turnout_drops_total`, "{{ $labels.port }}"},
	} {
		if mistakes := exposed(t).mistakes(q); len(mistakes) != 1 {
			t.Errorf("%s: %s: want one mistake, got %q", q.place, q.expr, mistakes)
		}
	}
}

func TestAlertsFire(t *testing.T) {
	promtool(t, nil, "check", "rules", alertsFile)
	promtool(t, nil, "test", "rules", alertTests)
}

// The queries of the dashboard are PromQL: promtool reads them as rules.
func TestDashboardIsPromQL(t *testing.T) {
	var rules bytes.Buffer
	rules.WriteString("groups: [{name: dashboard, rules: [\n")
	variables := regexp.MustCompile(`\$[a-z_]+`)
	for i, q := range dashboard(t) {
		if expr := strings.ReplaceAll(q.expr, "$__rate_interval", "5m"); !strings.HasPrefix(expr, "label_values(") {
			fmt.Fprintf(&rules, "  {record: panel:%d, expr: %q},\n", i, variables.ReplaceAllString(expr, ".*"))
		}
	}
	rules.WriteString("]}]\n")
	file := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(file, rules.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", file)
}

// The table of docs/metrics.md is what the rules say.
func TestAlertsPage(t *testing.T) {
	const begin, end = "<!-- alerts: begin -->\n", "<!-- alerts: end -->\n"
	before, rest, found := strings.Cut(string(read(t, documentation)), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s: no table between %q and %q", documentation, begin, end)
	}
	var rows strings.Builder
	rows.WriteString("| alert | severity | when | what to do |\n| --- | --- | --- | --- |\n")
	for _, a := range alerts(t) {
		fmt.Fprintf(&rows, "| %s | %s | `%s` for %s | %s |\n", a.Alert, a.Labels.Severity, strings.ReplaceAll(a.Expr, "|", `\|`), a.For, a.Annotations.Action)
	}
	golden(t, documentation, before+begin+rows.String()+end+after)
}
