package store

import (
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// place is where a value stands: the keys and list items on the way down to it. nil is the top.
type place struct {
	up    *place
	key   string // of a mapping's entry; empty for a list's item
	index int    // of a list's item
	label string // of a list's item in messages: the name that users know it by
}

func (p *place) in(key string) *place { return &place{up: p, key: key} }

// item is the i-th item of the list at p, called by its index when it has no name.
func (p *place) item(i int, name string) *place {
	if name == "" {
		name = strconv.Itoa(i)
	}
	return &place{up: p, index: i, label: name}
}

// String gives a key path such as services[web].port.
func (p *place) String() string {
	if p == nil {
		return ""
	}
	head := p.up.String()
	switch {
	case p.key == "":
		return head + "[" + p.label + "]"
	case head == "":
		return p.key
	default:
		return head + "." + p.key
	}
}

// line returns the line of p in the tree under root, or that of the innermost thing around p that is there.
func (p *place) line(root ast.Node) int {
	_, line := p.find(root)
	return line
}

// find returns the node at p and its line. The node is nil if p is not there.
func (p *place) find(root ast.Node) (ast.Node, int) {
	if p == nil {
		return root, lineOf(root)
	}
	parent, line := p.up.find(root)
	if p.key == "" {
		items := items(parent)
		if p.index >= len(items) {
			return nil, line
		}
		return items[p.index], lineOf(items[p.index])
	}
	for _, e := range entries(parent) {
		if keyText(e) == p.key {
			return e.Value, lineOf(e.Key)
		}
	}
	return nil, line
}
