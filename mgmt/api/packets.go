package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Packet is a frame for a capture file.
type Packet struct {
	Time    time.Time
	Data    []byte // the frame, or its beginning
	Length  int    // of the frame
	Sent    bool   // out of the port; else it was received
	Comment string // the decision on it
}

// CaptureQuery says which forwarded frames are wanted, how many, and for how long they are waited for.
type CaptureQuery struct {
	Service string
	Client  netip.Addr // zero: every one
	Count   int
	Limit   time.Duration
}

// Capture is a capture under way. It is for one goroutine, which must close it.
type Capture interface {
	// Next waits for packets, for some milliseconds, and returns those that came. more is false once there will be no more.
	Next(ctx context.Context) (packets []Packet, more bool)
	// Missed is how many frames were wanted and came faster than they were taken.
	Missed() uint64
	Close()
}

// ErrCapturing answers a capture beside another one.
var ErrCapturing = errors.New("another capture is under way: wait for its end, or end it")

// The calls that show packet contents: only who may write may make them (showsPackets).
const (
	dropsCall   = "/v1/drops/"
	captureCall = "/v1/capture"
)

// showsPackets says whether a path is one of theirs.
func showsPackets(path string) bool { return path == captureCall || strings.HasPrefix(path, dropsCall) }

func registerPackets(api huma.API, director Director, ending <-chan struct{}) {
	c := packets{director, ending}
	drops := read("get-dropped-packets", dropsCall+"{file}", "The latest dropped frames of a reason, each with the decision as its comment", http.StatusNotFound)
	drops.Responses = pcapngAnswer("Up to 64 frames of each lcore, the oldest first, of each its first 256 bytes")
	huma.Register(api, drops, c.drops)
	capture := read("capture-packets", captureCall, "Forwarded frames, as they were received and as they were sent", http.StatusNotFound, http.StatusConflict)
	capture.Responses = pcapngAnswer("Every forwarded frame twice, before and after its rewrite, as they come")
	huma.Register(api, capture, c.capture)
}

// pcapngType is the media type that Wireshark gives its own format. (The registered application/vnd.tcpdump.pcap is the older
// format without comments and interfaces.)
const pcapngType = "application/x-pcapng"

func pcapngAnswer(description string) map[string]*huma.Response {
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	return map[string]*huma.Response{"200": {Description: description, Content: map[string]*huma.MediaType{pcapngType: {Schema: binary}}}}
}

// packets answers with capture files.
type packets struct {
	director Director
	ending   <-chan struct{} // closed when the server stops
}

type dropsInput struct {
	File string `path:"file" maxLength:"64" doc:"a reason of /v1/drops, and .pcapng" example:"no_service.pcapng"`
}

type pcapngFile struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (c packets) drops(_ context.Context, in *dropsInput) (*pcapngFile, error) {
	reason, ok := strings.CutSuffix(in.File, ".pcapng")
	if !ok {
		return nil, huma.Error404NotFound("there is no " + dropsCall + in.File + ": want a reason and .pcapng, such as no_service.pcapng")
	}
	list, err := c.director.Dropped(reason)
	if err != nil {
		return nil, problem(err)
	}
	var file bytes.Buffer
	w, err := newPcapng(&file, c.director)
	if err == nil {
		err = w.write(list)
	}
	return &pcapngFile{pcapngType, file.Bytes()}, err
}

type captureInput struct {
	Service string     `query:"service" doc:"only packets for this service"`
	Client  netip.Addr `query:"client" doc:"only packets of this client address"`
	Count   int        `query:"count" default:"100" minimum:"1" maximum:"100000" doc:"end after so many frames"`
	Seconds int        `query:"seconds" default:"10" minimum:"1" maximum:"600" doc:"end after so many seconds"`
}

func (c packets) capture(_ context.Context, in *captureInput) (*huma.StreamResponse, error) {
	running, err := c.director.Capture(CaptureQuery{in.Service, in.Client.Unmap(), in.Count, time.Duration(in.Seconds) * time.Second})
	if err != nil {
		return nil, problem(err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer running.Close()
		r, w := humago.Unwrap(ctx)
		w.Header().Set("Content-Type", pcapngType)
		if r.Method != http.MethodHead {
			c.follow(r.Context(), running, stream{w, http.NewResponseController(w)})
		}
	}}, nil
}

// follow sends packets as they come, until there are enough, the client goes or the server stops. Whatever was sent
// until then is a whole capture file.
func (c packets) follow(ctx context.Context, running Capture, s stream) {
	var part bytes.Buffer
	w, err := newPcapng(&part, c.director)
	for more := true; more && err == nil; {
		if err = s.pass(&part); err != nil {
			return
		}
		var list []Packet
		list, more = running.Next(ctx)
		err = w.write(list)
		more = more && !c.stopping()
	}
	if err == nil && w.finish(running.Missed()) == nil {
		_ = s.pass(&part) // the client may be gone; there is nobody else to tell
	}
}

func (c packets) stopping() bool {
	select {
	case <-c.ending:
		return true
	default:
		return false
	}
}

// pass sends what is in a buffer, if anything, and empties it.
func (s stream) pass(part *bytes.Buffer) error {
	if part.Len() == 0 {
		return nil
	}
	defer part.Reset()
	return s.send(part.String())
}
