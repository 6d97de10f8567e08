// Package store holds the desired state: what services.yaml says, read strictly and written back with its comments.
//
// Reading order: state.go (the shapes), schema.go (the keys, their defaults, what is not available), decode.go,
// validate.go and availability.go, then store.go, generation.go and edit.go for the way back to disk.
//
// A configuration is refused whole, with every mistake in one *[Mistakes]. [Decode] and [DecodeJSON] go through
// the same tree and the same code, so that a file and an API body are read alike. [State.Validate] judges what
// needs more than one value; [Check] does both and knows the line of every mistake.
package store
