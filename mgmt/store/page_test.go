package store

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// docs/configuration.md has a row for every key of services.yaml, and says what IPVS and its companions call it.
func TestConfigurationPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, services, _ := strings.Cut(string(page), "## services.yaml")
	meaning, elsewhere, _ := strings.Cut(services, "What these keys are called elsewhere")
	for _, part := range []any{Service{}, Maglev{}, Outlier{}, Timeouts{}, HealthCheck{}, RealServer{}} {
		for _, key := range keys(part) {
			row := regexp.MustCompile("(?m)^\\| `(maglev\\.|outlier\\.|timeouts\\.)?" + key + "` \\|")
			within := key == "maglev" || key == "outlier" || key == "timeouts" // each key of these has a row
			if !within && !row.MatchString(meaning) {
				t.Errorf("%T: no row tells what %s means", part, key)
			}
		}
	}
	for _, key := range keys(Service{}) {
		if !strings.Contains(elsewhere, "`"+key) {
			t.Errorf("not told what %s is called elsewhere", key)
		}
	}
}

// keys are the YAML keys of a struct.
func keys(part any) (list []string) {
	t := reflect.TypeOf(part)
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		list = append(list, key)
	}
	return list
}

// docs/examples/services.yaml shows the keys of a service.
func TestExampleShowsKeys(t *testing.T) {
	example, err := os.ReadFile("../../docs/examples/services.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range append(keys(Service{}), "upper_threshold", "lower_threshold", "mac") {
		if key != "hysteresis" && !strings.Contains(string(example), key+":") {
			t.Errorf("%s is not shown", key)
		}
	}
}
