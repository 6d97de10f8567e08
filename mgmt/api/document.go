package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"turnout/mgmt/store"
	"turnout/sched"
)

const description = "Reads live state and changes the desired state of a turnout director. " +
	"Errors are problem documents (RFC 9457). Writes take If-Match with the generation that ETag gave. " +
	"Prometheus metrics are at /metrics."

const (
	version     = "1"     // of the API, as in /v1
	maxBody     = 1 << 20 // bytes: room for some five thousand real servers
	bodyTimeout = 5 * time.Second
	schemas     = "#/components/schemas/"
)

// newAPI registers every call on mux. Streams end when ending is closed. The director may be nil where only the document
// is wanted.
func newAPI(mux *http.ServeMux, director Director, ending <-chan struct{}) huma.API {
	api := humago.New(mux, humaConfig())
	registerReads(api, director)
	registerExplain(api, director)
	registerPersistence(api, director)
	registerWrites(api, director)
	registerDrains(api, director)
	registerGenerations(api, director)
	registerEvents(api, director, ending)
	registerPackets(api, director, ending)
	correct(api.OpenAPI().Components.Schemas.Map())
	return api
}

// humaConfig leaves out whatever would make a reader load something: huma's documentation page takes its scripts from
// another host, and its schema-link hook adds $schema to every answer.
func humaConfig() huma.Config {
	config := huma.DefaultConfig("turnout", version)
	config.Info.Description = description
	config.Components.Schemas = huma.NewMapRegistry(schemas, schemaName)
	config.DocsPath, config.SchemasPath, config.OpenAPIPath = "", "", ""
	config.CreateHooks = nil
	config.RejectUnknownQueryParameters = true // ?dry-run=true must not apply the change
	format := huma.Format{Marshal: writeJSON, Unmarshal: json.Unmarshal}
	config.Formats = map[string]huma.Format{"application/json": format, "json": format}
	return config
}

// writeJSON does not tell of a client that has gone meanwhile: huma would panic.
func writeJSON(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		_, _ = w.Write(append(text, '\n'))
	}
	return err
}

// schemaName keeps the store's types apart from the API's of the same name: a Service is what answers show, a
// DesiredService what requests carry.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if strings.HasSuffix(t.PkgPath(), "mgmt/store") {
		return "Desired" + name
	}
	return name
}

// required are the keys of the desired state that have no default.
var required = map[string][]string{
	"DesiredState":       {"services"},
	"DesiredService":     {"name", "vip", "protocol", "port"},
	"DesiredRealServer":  {"address"},
	"DesiredHealthCheck": {"type"},
}

// words are the values that keys of the desired state can have. (The API's own types have them in their tags.)
var words = map[string][]any{
	"protocol":       anys(store.TCP, store.UDP),
	"scheduler":      anys(sched.Names()...),
	"hash":           anys(store.HashFiveTuple, store.HashSource),
	"on_down":        anys(store.OnDownReschedule, store.OnDownKeep, store.OnDownDrop),
	"no_real_server": anys(store.RefuseDrop, store.RefuseUnreachable),
	"initial":        anys(store.InitialDown, store.InitialUp),
	"type": anys(store.CheckNone, store.CheckTCP, store.CheckHTTP, store.CheckHTTPS, store.CheckICMP, store.CheckUDP,
		store.CheckDNS, store.CheckExec),
}

func anys[T ~string](list ...T) (all []any) {
	for _, word := range list {
		all = append(all, string(word))
	}
	return all
}

// correct mends what huma takes for granted of Go types: that a list may be null, that a key without omitempty is
// required of requests, and that any text will do where a few words are known.
func correct(all map[string]*huma.Schema) {
	for name, schema := range all {
		if strings.HasPrefix(name, "Desired") {
			schema.Required = required[name]
		}
		for key, property := range schema.Properties {
			property.Nullable = false
			if property.Type == huma.TypeString && property.Enum == nil {
				property.Enum = words[key]
			}
		}
	}
}

// registerBody registers a call whose body is a T that the handler decodes from RawBody. The store's strict decoders do
// that, so that a mistake in a request reads the same as one in services.yaml; huma's own would be found first and in
// other words. huma takes a RawBody for bytes of any kind, so the schema of T is put into the document here.
func registerBody[T, I, O any](api huma.API, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	body := &huma.MediaType{Schema: schemaOf[T](api)}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": body}}
	op.SkipValidateBody = true
	huma.Register(api, withBody(op), handle)
	delete(op.RequestBody.Content, "application/octet-stream")
}

// schemaOf puts the schema of T into the document and returns a reference to it.
func schemaOf[T any](api huma.API) *huma.Schema {
	return api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}

// document is the OpenAPI 3.1 document as indented JSON.
func document(api huma.API) ([]byte, error) {
	return json.MarshalIndent(api.OpenAPI(), "", "  ")
}
