package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"turnout/mgmt/events"
)

const (
	maxFollowers = 64
	keepAlive    = 15 * time.Second // proxies and firewalls forget silent connections, from about 30 s
	sendTimeout  = 10 * time.Second // for what is to be sent at once; a client that takes longer is cut off
	eventStream  = "text/event-stream"
)

// follows answers GET /v1/events with a stream of server-sent events (the HTML standard, section 9.2).
type follows struct {
	director Director
	ending   <-chan struct{} // closed when the server stops
	places   chan struct{}   // holds one for every follower
}

func registerEvents(api huma.API, director Director, ending <-chan struct{}) {
	c := follows{director, ending, make(chan struct{}, maxFollowers)}
	op := read("follow-events", "/v1/events", "What happens, as server-sent events", http.StatusServiceUnavailable)
	op.Description = "The event field is the kind, data an Event, id what Last-Event-ID resumes after. " +
		"An event missed, whose data is Missed, stands for events that are no longer kept."
	op.Parameters = []*huma.Param{kindParameter(api)}
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The stream; it does not end unless follow is false",
		Content:     map[string]*huma.MediaType{eventStream: {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	schemaOf[Missed](api)
	huma.Register(api, op, c.follow)
}

// kindParameter takes one kind or several, with commas or as often as there are kinds.
func kindParameter(api huma.API) *huma.Param {
	explode := true
	event := api.OpenAPI().Components.Schemas.SchemaFromRef(schemaOf[events.Event](api).Ref)
	return &huma.Param{
		Name: "kind", In: "query", Explode: &explode, Description: "only events of this kind; may be repeated, or be a list with commas",
		Schema: &huma.Schema{Type: huma.TypeArray, Items: event.Properties["kind"]},
	}
}

// Missed stands for events that a follower will not get.
type Missed struct {
	Missed uint64 `json:"missed" doc:"how many events are no longer kept, of all kinds"`
}

type followInput struct {
	Kinds       []string `query:"kind,explode"`
	Since       string   `query:"since" pattern:"^[0-9]{1,19}$" patternDescription:"the id of an event" doc:"events after the one of this id, 0 for all that are kept; only those to come unless given"`
	LastEventID string   `header:"Last-Event-ID" pattern:"^[0-9]{1,19}$" patternDescription:"the id of an event" doc:"as since, and goes before it: what browsers send when they connect again"`
	Follow      bool     `query:"follow" default:"true" doc:"false: the stream ends with the latest event"`
}

// Resolve implements huma.Resolver: it splits lists of kinds and refuses unknown ones.
func (in *followInput) Resolve(huma.Context) (refusals []error) {
	in.Kinds = strings.FieldsFunc(strings.Join(in.Kinds, ","), func(r rune) bool { return r == ',' })
	for _, kind := range in.Kinds {
		if !slices.Contains(events.Kinds[:], events.Kind(kind)) {
			refusals = append(refusals, &huma.ErrorDetail{
				Location: "query.kind", Value: kind, Message: fmt.Sprintf("there are no such events: want some of %s", events.Kinds),
			})
		}
	}
	return refusals
}

func (in *followInput) wants(e events.Event) bool {
	return len(in.Kinds) == 0 || slices.Contains(in.Kinds, string(e.Kind))
}

// after is the ID that the stream begins after.
func (in *followInput) after(hub *events.Hub) uint64 {
	for _, text := range []string{in.LastEventID, in.Since} {
		if id, err := strconv.ParseUint(text, 10, 64); err == nil {
			return id
		}
	}
	return hub.Last()
}

func (c follows) follow(_ context.Context, in *followInput) (*huma.StreamResponse, error) {
	select {
	case c.places <- struct{}{}:
	default:
		return nil, huma.Error503ServiceUnavailable(fmt.Sprintf("%d clients follow the events already: close some of them", maxFollowers))
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer func() { <-c.places }()
		r, w := humago.Unwrap(ctx)
		w.Header().Set("Content-Type", eventStream)
		if r.Method == http.MethodHead {
			return
		}
		c.run(r.Context(), in, stream{w, http.NewResponseController(w)})
	}}, nil
}

// run sends until the client goes, is too slow or the server stops.
func (c follows) run(ctx context.Context, in *followInput, s stream) {
	hub := c.director.Events()
	id := in.after(hub)
	silence := time.NewTicker(keepAlive)
	defer silence.Stop()
	for {
		latest, missed, more := hub.Since(id)
		if n := len(latest); n > 0 {
			id = latest[n-1].ID
		}
		if s.send(written(latest, missed, in.wants)) != nil || !in.Follow {
			return
		}
		select {
		case <-more:
		case <-silence.C:
			if s.send(": still here\n\n") != nil {
				return
			}
		case <-ctx.Done():
			return
		case <-c.ending:
			return
		}
	}
}

// written is the events that are wanted as the stream has them, after what was missed before them.
func written(list []events.Event, missed uint64, wanted func(events.Event) bool) string {
	var b strings.Builder
	if missed > 0 {
		fmt.Fprintf(&b, "event: missed\ndata: %s\n\n", text(Missed{missed}))
	}
	for _, e := range list {
		if wanted(e) {
			fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, text(e))
		}
	}
	return b.String()
}

// stream is the connection to a follower.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s stream) send(block string) error {
	// The server's time-out for writing an answer is none for a stream. Where there are no deadlines it is not set either.
	_ = s.control.SetWriteDeadline(time.Now().Add(sendTimeout))
	if _, err := io.WriteString(s.w, block); err != nil {
		return err
	}
	return s.control.Flush()
}
