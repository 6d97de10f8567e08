package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/viper"

	"turnout/mgmt/store"
)

// envPrefix begins the name of every environment variable that is a key of turnout.yaml.
const envPrefix = "TURNOUT_"

// configKey is a key of turnout.yaml that has a value of its own.
type configKey struct {
	name   string // such as dpdk.memory_mb or ports[].mtu
	doc    string
	value  reflect.Value // the default
	ofPort bool
}

// configKeys lists all keys, in the order of Config.
func configKeys() []configKey {
	return keysOf(reflect.ValueOf(defaultConfig()), "")
}

func keysOf(v reflect.Value, prefix string) []configKey {
	var keys []configKey
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := prefix + f.Tag.Get("mapstructure")
		switch {
		case f.Type == reflect.TypeFor[[]PortConfig]():
			keys = append(keys, portKeys(name)...)
		case f.Type.Kind() == reflect.Struct:
			keys = append(keys, keysOf(v.Field(i), name+".")...)
		default:
			keys = append(keys, configKey{name: name, doc: f.Tag.Get("doc"), value: v.Field(i)})
		}
	}
	return keys
}

func portKeys(name string) []configKey {
	keys := keysOf(reflect.ValueOf(defaultPort()), name+"[].")
	for i := range keys {
		keys[i].ofPort = true
	}
	return keys
}

func (k configKey) leaf() string { return k.name[strings.LastIndexByte(k.name, '.')+1:] }

// variable is the environment variable that sets the key.
func (k configKey) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

// prune notes every key that t does not have and every value of the wrong type, and takes them out of value.
// It returns false for a value that must go itself.
func prune(value any, t reflect.Type, key string, m *store.Mistakes) bool {
	switch t.Kind() {
	case reflect.Struct:
		return pruneMapping(value, t, key, m)
	case reflect.Slice:
		return pruneList(value, t, key, m)
	}
	want := shapeOf(reflect.Zero(t).Interface())
	if shapeOf(value) != want {
		m.Add(key, "is %s: write %s", shapeOf(value), want)
		return false
	}
	return true
}

func pruneList(value any, t reflect.Type, key string, m *store.Mistakes) bool {
	list, ok := value.([]any)
	if !ok {
		m.Add(key, "is %s: write a list, such as [a, b]", shapeOf(value))
	}
	for i, item := range list {
		ok = prune(item, t.Elem(), fmt.Sprintf("%s[%d]", key, i), m) && ok
	}
	return ok
}

func pruneMapping(value any, t reflect.Type, key string, m *store.Mistakes) bool {
	mapping, ok := value.(map[string]any)
	if !ok {
		m.Add(key, "is %s: write a mapping (key: value)", shapeOf(value))
		return false
	}
	known := map[string]reflect.Type{}
	for f := range t.Fields() {
		known[f.Tag.Get("mapstructure")] = f.Type
	}
	for _, name := range slices.Sorted(maps.Keys(mapping)) {
		path := strings.TrimPrefix(key+"."+name, ".")
		of, ok := known[name]
		if !ok {
			m.Add(path, "%s", store.UnknownKey(name, slices.Collect(maps.Keys(known))))
		}
		if !ok || !prune(mapping[name], of, path, m) {
			delete(mapping, name)
		}
	}
	return true
}

// shapeOf says in words what a value is.
func shapeOf(value any) string {
	switch value.(type) {
	case nil:
		return "empty"
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		return "text"
	case bool:
		return "true or false"
	case int, int64, uint64:
		return "a whole number"
	case float64:
		return "a number with a fraction"
	}
	return fmt.Sprintf("%T", value)
}

// setFromEnvironment sets the keys that environ, a list of NAME=value, has variables for. It notes TURNOUT_ variables
// that are no key's, and values that the key cannot have.
func setFromEnvironment(v *viper.Viper, environ []string, m *store.Mistakes) {
	keys := map[string]configKey{}
	for _, k := range configKeys() {
		if !k.ofPort {
			keys[k.variable()] = k
		}
	}
	for _, setting := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(setting, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		k, ok := keys[name]
		if !ok {
			m.Add(name, "%s", unknownVariable(name, keys))
			continue
		}
		value, err := parseAs(k.value.Type(), text)
		if err != nil {
			m.Add(name, "%v", err)
			continue
		}
		v.Set(k.name, value)
	}
}

func unknownVariable(name string, keys map[string]configKey) string {
	if strings.HasPrefix(name, envPrefix+"PORTS") {
		return "ports are set in turnout.yaml alone: unset this variable"
	}
	sentence := store.UnknownKey(name, slices.Collect(maps.Keys(keys)))
	return strings.Replace(sentence, "unknown key", "unknown variable", 1)
}

// parseAs reads the text of a variable as a value of type t.
func parseAs(t reflect.Type, text string) (any, error) {
	switch t {
	case reflect.TypeFor[string]():
		return text, nil
	case reflect.TypeFor[bool]():
		if text != "true" && text != "false" {
			return nil, fmt.Errorf("%q: write true or false", text)
		}
		return text == "true", nil
	case reflect.TypeFor[int]():
		return parseInt(text)
	case reflect.TypeFor[[]string]():
		return splitList(text), nil
	case reflect.TypeFor[[]int]():
		return parseInts(text)
	}
	panic("no way to read a variable of type " + t.String())
}

func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q: write a whole number", text)
	}
	return n, nil
}

func parseInts(text string) ([]int, error) {
	numbers := []int{}
	for _, item := range splitList(text) {
		n, err := parseInt(item)
		if err != nil {
			return nil, fmt.Errorf("%w, or several with commas between", err)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

func splitList(text string) []string {
	if text == "" {
		return []string{}
	}
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// configTable is the reference of all keys in Markdown, for docs/configuration.md.
func configTable() string {
	var b strings.Builder
	b.WriteString("| key | default | variable | meaning |\n|---|---|---|---|\n")
	for _, k := range configKeys() {
		variable := "`" + k.variable() + "`"
		if k.ofPort {
			variable = ""
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", k.name, defaultText(k.value), variable, k.doc)
	}
	return b.String()
}

// defaultText writes a default as JSON, which YAML reads.
func defaultText(v reflect.Value) string {
	text, err := json.Marshal(v.Interface())
	if err != nil {
		panic(err)
	}
	return string(text)
}
