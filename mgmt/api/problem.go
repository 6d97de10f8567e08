package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"turnout/mgmt/store"
)

// problem turns an error of the Director or the store into the problem document that answers it.
func problem(err error) error {
	var mistakes *store.Mistakes
	switch {
	case errors.As(err, &mistakes):
		return huma.Error422UnprocessableEntity("refused: nothing was changed", details(mistakes)...)
	case errors.Is(err, ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, store.ErrFileChanged), errors.Is(err, store.ErrLayout), errors.Is(err, ErrCapturing):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, ErrStale):
		return huma.Error412PreconditionFailed(err.Error())
	case errors.Is(err, ErrStopping), errors.Is(err, context.Canceled):
		return huma.Error503ServiceUnavailable(err.Error())
	}
	return huma.Error500InternalServerError(err.Error())
}

// details lists what is wrong with a request, each with its key path.
func details(mistakes *store.Mistakes) []error {
	var all []error
	for _, m := range mistakes.List {
		all = append(all, &huma.ErrorDetail{Location: m.Key, Message: m.Text})
	}
	return all
}

// writeProblem answers where no huma call is reached.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	// The client may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(huma.NewError(status, detail))
}

// withProblems serves mux, and answers what mux has no pattern for with problem documents in place of plain text.
func withProblems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(&refusalWriter{ResponseWriter: w, request: r}, r)
	})
}

// refusalWriter lets headers (Allow, Location) pass and replaces the text of an error.
type refusalWriter struct {
	http.ResponseWriter
	request *http.Request
	refused bool
}

func (w *refusalWriter) WriteHeader(status int) {
	if w.refused = status >= 400; !w.refused {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	writeProblem(w.ResponseWriter, status, w.sentence(status))
}

func (w *refusalWriter) Write(text []byte) (int, error) {
	if w.refused {
		return len(text), nil
	}
	return w.ResponseWriter.Write(text)
}

func (w *refusalWriter) sentence(status int) string {
	path := w.request.URL.Path
	switch status {
	case http.StatusMethodNotAllowed:
		return path + " does not take " + w.request.Method + ": it takes " + w.Header().Get("Allow")
	case http.StatusNotFound:
		return "there is no " + path + ": /openapi.json lists what there is"
	}
	return "the request cannot be understood"
}
