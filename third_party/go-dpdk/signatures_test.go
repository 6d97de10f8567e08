package godpdk

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// signatures maps an exported name ("eal.Init", "ethdev.(Port).Start") to its
// declaration without parameter names, unexported fields and comments.
type signatures map[string]string

func TestSignaturesAreThoseOfTheOriginal(t *testing.T) {
	ours := signatures{}
	for _, file := range sources(t) {
		ours.add(filepath.ToSlash(filepath.Dir(file)), parse(t, file, nil))
	}
	for _, name := range []string{"eal.Init", "ethdev.(Port).RxBurst", "mbuf.(*Mbuf).Data", "mempool.Mempool"} {
		if ours[name] == "" {
			t.Errorf("%s was not found", name)
		}
	}
	for _, problem := range ours.drift(parseAPI(t, "testdata/api.md")) {
		t.Error(problem)
	}
}

func TestDriftIsSeen(t *testing.T) {
	const original = `
		const Max uint = C.MAX
		var Strict = false
		type Port uint16
		type Conf struct { A, B uint8; C string ` + "`k:\"v\"`" + ` }
		func (pid Port) Setup(qid, nDesc uint16, opts ...Conf) (err error)
		func Find(name string) (Port, error)`
	tests := []struct{ name, ours, want string }{
		{"the same with other names", original + "\nfunc hidden()\ntype secret int\nfunc (secret) Shout()", ""},
		{"fewer", "type Port uint16", ""},
		{"other parameter names", "func (p Port) Setup(a uint16, b uint16, c ...Conf) error", ""},
		{"unexported field", "type Conf struct { A uint8; B uint8; C string `k:\"v\"`; d int }", ""},
		{"extra function", "func Extra()", "x.Extra"},
		{"extra method", "func (pid Port) Extra()", "x.(Port).Extra"},
		{"extra type", "type Extra int", "x.Extra"},
		{"extra constant", "const Extra = 1", "x.Extra"},
		{"other parameter type", "func Find(name []byte) (Port, error)", "x.Find"},
		{"other result", "func Find(name string) Port", "x.Find"},
		{"not variadic", "func (pid Port) Setup(qid, nDesc uint16, opts []Conf) error", "x.(Port).Setup"},
		{"pointer receiver", "func (pid *Port) Setup(qid, nDesc uint16, opts ...Conf) error", "x.(*Port).Setup"},
		{"other underlying type", "type Port uint32", "x.Port"},
		{"alias", "type Port = uint16", "x.Port"},
		{"field missing", "type Conf struct { A, B uint8 }", "x.Conf"},
		{"field of another type", "type Conf struct { A, B uint16; C string `k:\"v\"` }", "x.Conf"},
		{"other tag", "type Conf struct { A, B uint8; C string }", "x.Conf"},
		{"other variable", "var Strict = true", "x.Strict"},
		{"other constant type", "const Max = C.MAX", "x.Max"},
		{"function in place of a type", "func Port()", "x.Port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api, ours := signatures{}, signatures{}
			api.add("x", parse(t, "api", "package x\n"+original))
			ours.add("x", parse(t, "ours", "package x\n"+tt.ours))
			got := ours.drift(api)
			if (len(got) == 0) != (tt.want == "") || len(got) > 1 || !strings.HasPrefix(strings.Join(got, ""), tt.want) {
				t.Errorf("drift %q, want one about %q", got, tt.want)
			}
		})
	}
}

// drift says what in ours the original lacks or has otherwise, sorted.
func (ours signatures) drift(original signatures) (problems []string) {
	for name, got := range ours {
		want, ok := original[name]
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("%s: not in the original", name))
		case got != want:
			problems = append(problems, fmt.Sprintf("%s: ours is %s, the original's %s", name, got, want))
		}
	}
	sort.Strings(problems)
	return problems
}

// add takes in what f exports.
func (s signatures) add(pkg string, f *ast.File) {
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			s.addFunc(pkg, d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				s.addSpec(pkg, d.Tok, spec)
			}
		}
	}
}

func (s signatures) addFunc(pkg string, d *ast.FuncDecl) {
	name := pkg + "."
	if d.Recv != nil {
		recv := text(d.Recv.List[0].Type)
		if !ast.IsExported(strings.TrimPrefix(recv, "*")) {
			return
		}
		name += "(" + recv + ")."
	}
	if d.Name.IsExported() {
		s[name+d.Name.Name] = text(d.Type)
	}
}

func (s signatures) addSpec(pkg string, tok token.Token, spec ast.Spec) {
	switch sp := spec.(type) {
	case *ast.TypeSpec:
		if sp.Name.IsExported() {
			s[pkg+"."+sp.Name.Name] = fmt.Sprintf("type (alias: %v) %s", sp.Assign.IsValid(), text(sp.Type))
		}
	case *ast.ValueSpec:
		for i, name := range sp.Names {
			if name.IsExported() {
				s[pkg+"."+name.Name] = fmt.Sprintf("%s %s = %s", tok, text(sp.Type), text(value(sp, i)))
			}
		}
	}
}

func value(sp *ast.ValueSpec, i int) ast.Expr {
	if i < len(sp.Values) {
		return sp.Values[i]
	}
	return nil
}

// text prints e on one line with its fields flattened.
func text(e ast.Expr) string {
	if e == nil || reflect.ValueOf(e).IsNil() {
		return ""
	}
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			n.Params, n.Results = flat(n.Params, unnamed), flat(n.Results, unnamed)
		case *ast.StructType:
			n.Fields = flat(n.Fields, exported)
		}
		return true
	})
	var b strings.Builder
	if err := printer.Fprint(&b, token.NewFileSet(), e); err != nil {
		panic(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// flat makes one field of each name that keep returns.
func flat(list *ast.FieldList, keep func(*ast.Field) []*ast.Field) *ast.FieldList {
	if list == nil {
		return nil
	}
	out := &ast.FieldList{}
	for _, f := range list.List {
		out.List = append(out.List, keep(f)...)
	}
	return out
}

func unnamed(f *ast.Field) (fields []*ast.Field) {
	for range max(1, len(f.Names)) {
		fields = append(fields, &ast.Field{Type: f.Type})
	}
	return fields
}

func exported(f *ast.Field) (fields []*ast.Field) {
	if len(f.Names) == 0 {
		return []*ast.Field{{Type: f.Type, Tag: f.Tag}}
	}
	for _, name := range f.Names {
		if name.IsExported() {
			fields = append(fields, &ast.Field{Names: []*ast.Ident{ast.NewIdent(name.Name)}, Type: f.Type, Tag: f.Tag})
		}
	}
	return fields
}

var apiPackage = regexp.MustCompile("(?s)## package (\\w+)\n+```go\n(.*?)```")

// parseAPI reads the Go blocks of a list of signatures, one per package.
func parseAPI(t *testing.T, path string) signatures {
	t.Helper()
	list, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	api := signatures{}
	for _, m := range apiPackage.FindAllStringSubmatch(string(list), -1) {
		api.add(m[1], parse(t, path, "package "+m[1]+"\n"+m[2]))
	}
	if len(api) == 0 {
		t.Fatalf("%s has no signatures", path)
	}
	return api
}

// sources returns the module's Go files but for tests and internal packages.
func sources(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if d.IsDir() && (d.Name() == "internal" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parse(t *testing.T, name string, src any) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
