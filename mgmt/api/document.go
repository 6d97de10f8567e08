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

// newAPI registers every call on mux. The director may be nil where only the document is wanted.
func newAPI(mux *http.ServeMux, director Director) huma.API {
	api := humago.New(mux, humaConfig())
	registerReads(api, director)
	registerWrites(api, director)
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

// correct mends what huma takes for granted of Go types: that a list may be null, and that a key without omitempty is
// required of requests.
func correct(all map[string]*huma.Schema) {
	for name, schema := range all {
		if strings.HasPrefix(name, "Desired") {
			schema.Required = required[name]
		}
		for _, property := range schema.Properties {
			property.Nullable = false
		}
	}
}

// registerBody registers a call whose body is a T that the handler decodes from RawBody. The store's strict decoders do
// that, so that a mistake in a request reads the same as one in services.yaml; huma's own would be found first and in
// other words. huma takes a RawBody for bytes of any kind, so the schema of T is put into the document here.
func registerBody[T, I, O any](api huma.API, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	body := &huma.MediaType{Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": body}}
	op.SkipValidateBody = true
	op.MaxBodyBytes, op.BodyReadTimeout = maxBody, bodyTimeout
	huma.Register(api, op, handle)
	delete(op.RequestBody.Content, "application/octet-stream")
}

// document is the OpenAPI 3.1 document as indented JSON.
func document(api huma.API) ([]byte, error) {
	return json.MarshalIndent(api.OpenAPI(), "", "  ")
}
