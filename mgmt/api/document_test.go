package api

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"turnout/flowtable"
	"turnout/mgmt/neigh"
)

var update = flag.Bool("update", false, "rewrite openapi.json")

func TestDocumentIsCommitted(t *testing.T) {
	got, err := document(newAPI(http.NewServeMux(), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("openapi.json is not what the calls say: look at the change, then run `go test ./mgmt/api -update`")
	}
}

// Every body of a write must be documented as JSON with a schema, although huma sees only bytes.
func TestDocumentShowsBodies(t *testing.T) {
	paths := newAPI(http.NewServeMux(), nil, nil).OpenAPI().Paths
	for path, want := range map[string]string{
		"/v1/services":        "DesiredState",
		"/v1/services/{name}": "DesiredService",
		"/v1/services/{name}/real-servers/{address}": "DesiredRealServer",
		"/v1/role": "RoleSetting",
	} {
		content := paths[path].Put.RequestBody.Content
		if len(content) != 1 || content["application/json"] == nil {
			t.Errorf("PUT %s: content types %v, want application/json alone", path, content)
			continue
		}
		if ref := content["application/json"].Schema.Ref; !strings.HasSuffix(ref, "/"+want) {
			t.Errorf("PUT %s: schema %q, want %s", path, ref, want)
		}
	}
}

func TestDocumentLoadsNothing(t *testing.T) {
	doc, err := document(newAPI(http.NewServeMux(), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"unpkg", "jsdelivr", "$schema", "/schemas/{schema}"} {
		if bytes.Contains(doc, []byte(word)) {
			t.Errorf("the document has %q", word)
		}
	}
}

// The words of the document are those that the packages say which make them.
func TestWordsAreTheirs(t *testing.T) {
	all := newAPI(http.NewServeMux(), nil, nil).OpenAPI().Components.Schemas.Map()
	flowStates, vipStates, neighbourStates := []string{}, []string{}, []string{"static", neigh.NUD(0).String()}
	for s := flowtable.None; s.String() != "unknown"; s++ {
		flowStates = append(flowStates, s.String())
	}
	for s := neigh.Standby; s <= neigh.Announced; s++ {
		vipStates = append(vipStates, s.String())
	}
	for bit := neigh.NUD(1); bit <= 0x80; bit <<= 1 {
		neighbourStates = append(neighbourStates, bit.String())
	}
	for schema, words := range map[string][]string{"Flow": flowStates, "VIP": vipStates, "Neighbour": neighbourStates} {
		var got []string
		for _, word := range all[schema].Properties["state"].Enum {
			got = append(got, word.(string))
		}
		slices.Sort(got)
		slices.Sort(words)
		words = slices.Compact(words) // states may have one word
		if !slices.Equal(got, words) {
			t.Errorf("%s.state is one of %v, the document says %v", schema, words, got)
		}
	}
}
