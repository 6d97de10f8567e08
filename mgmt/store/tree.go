package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parseYAML returns the root of the one YAML document in data, or the mistake that makes it none.
func parseYAML(data []byte) (root ast.Node, wrong *Mistake) {
	tokens := lexer.Tokenize(string(data))
	if wrong := tooDeep(tokens); wrong != nil {
		return nil, wrong
	}
	// A director that forwards must outlive whatever file it is given to load.
	defer func() {
		if recover() != nil {
			root, wrong = nil, &Mistake{Line: 1, Text: "not readable as YAML"}
		}
	}()
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxMistake(err)
	}
	if len(file.Docs) > 1 {
		return nil, &Mistake{Line: lineOf(file.Docs[1].Body), Text: "a second YAML document begins here: only one is read; delete the line ---"}
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, &Mistake{Line: 1, Text: `the file is empty: write "services: []" if no service is meant`}
	}
	root = file.Docs[0].Body
	return root, forbiddenNode(root)
}

// What is nested deeper than this many brackets, or has its dash further right than this many columns, is no list of
// services; the parser would take minutes and gigabytes for it.
const (
	maxBrackets   = 32
	maxDashColumn = 256
)

func tooDeep(tokens token.Tokens) *Mistake {
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		}
		if depth > maxBrackets || t.Type == token.SequenceEntryType && t.Position.Column > maxDashColumn {
			return &Mistake{Line: t.Position.Line, Text: "nested too deep for a list of services"}
		}
	}
	return nil
}

func syntaxMistake(err error) *Mistake {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.Token == nil {
		return &Mistake{Line: 1, Text: "not readable as YAML: " + err.Error()}
	}
	at := syntax.Token.Position
	text := fmt.Sprintf("YAML syntax, column %d: %s", at.Column, syntax.Message)
	if strings.Contains(syntax.Message, "'\t'") {
		text = fmt.Sprintf("YAML syntax, column %d: a tab: indent with spaces", at.Column)
	}
	return &Mistake{Line: at.Line, Text: text}
}

// parseJSON returns data as the same kind of tree: compact JSON is YAML.
func parseJSON(data []byte) (ast.Node, *Mistake) {
	var compact json.RawMessage
	if err := json.Unmarshal(data, &compact); err != nil {
		return nil, &Mistake{Text: "not readable as JSON: " + err.Error()}
	}
	compact, err := json.Marshal(compact)
	if err != nil {
		return nil, &Mistake{Text: "not readable as JSON: " + err.Error()}
	}
	root, wrong := parseYAML(compact)
	if wrong != nil {
		wrong.Line = 0
	}
	return root, wrong
}

// forbiddenNode finds what would let one line of the file stand for several places: a later edit of one of them
// through the API would change the others too.
func forbiddenNode(root ast.Node) *Mistake {
	var finder forbidden
	ast.Walk(&finder, root)
	return finder.found
}

type forbidden struct{ found *Mistake }

func (f *forbidden) Visit(n ast.Node) ast.Visitor {
	if f.found != nil {
		return nil
	}
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		f.found = &Mistake{Line: lineOf(n), Text: "anchors (&), aliases (*) and merges (<<) are not read here: write the value out, since the API edits each place by itself"}
	case *ast.TagNode:
		f.found = &Mistake{Line: lineOf(n), Text: "tags (!) are not read here: write the plain value"}
	}
	return f
}

// entries returns the entries of a mapping, nil for anything else.
func entries(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// entry returns the value of key in a mapping, or nil.
func entry(n ast.Node, key string) ast.Node {
	for _, e := range entries(n) {
		if keyText(e) == key {
			return e.Value
		}
	}
	return nil
}

// items returns the items of a list, nil for anything else.
func items(n ast.Node) []ast.Node {
	if s, ok := n.(*ast.SequenceNode); ok {
		return s.Values
	}
	return nil
}

// keyText is the key of an entry as written, without quotes.
func keyText(e *ast.MappingValueNode) string { return e.Key.GetToken().Value }

func lineOf(n ast.Node) int {
	if n == nil {
		return 1
	}
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return lineOf(m.Values[0].Key)
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		return lineOf(m.Key)
	}
	return n.GetToken().Position.Line
}

// kind says in words what a node is.
func kind(n ast.Node) string {
	switch n.(type) {
	case nil, *ast.NullNode:
		return "empty"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode:
		return "text"
	case *ast.LiteralNode:
		return "a block of text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	}
	return "something else"
}
