package architecture

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// check reads every Go file below tree, whatever system it is for, and returns
// what breaks a rule, a line each. Other modules, which have a go.mod of their own,
// and testdata are passed over.
func check(tree fs.FS, folders []folder) ([]string, error) {
	var broken []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && isOther(tree, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		found, err := checkFile(tree, name, folders)
		broken = append(broken, found...)
		return err
	})
	return broken, err
}

func isOther(tree fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true // the go command passes them over too
	}
	_, err := fs.Stat(tree, path.Join(dir, "go.mod"))
	return err == nil
}

func checkFile(tree fs.FS, name string, folders []folder) ([]string, error) {
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	dir := path.Dir(name)
	at := slices.IndexFunc(folders, func(f folder) bool { return f.dir == dir })
	if at < 0 {
		return []string{fmt.Sprintf("%s: folder %s has no rule: say in internal/architecture what it may import, and why", name, dir)}, nil
	}
	var broken []string
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if !folders[at].allows(imported, strings.HasSuffix(name, "_test.go")) {
			broken = append(broken, fmt.Sprintf("%s imports %s: %s may not: %s", files.Position(spec.Pos()), imported, dir, folders[at].why))
		}
		for _, use := range uses(file, spec, imported) {
			if reason, forbidden := forbiddenNames()[imported][use.Name]; forbidden {
				broken = append(broken, fmt.Sprintf("%s uses %s of %s: %s", files.Position(use.Pos()), use.Name, imported, reason))
			}
		}
	}
	return broken, nil
}

func (f *folder) allows(imported string, test bool) bool {
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") && imported != "C" {
		return true // the standard library; cgo would end the one static file
	}
	if imported == module+"/"+f.dir { // a test outside the package, of the package
		return test
	}
	allowed := slices.Clone(f.outside)
	for _, dir := range f.ours {
		allowed = append(allowed, module+"/"+dir)
	}
	if test {
		allowed = append(allowed, forTests()...)
	}
	return slices.ContainsFunc(allowed, func(pattern string) bool {
		parent, all := strings.CutSuffix(pattern, "/...")
		return imported == parent || all && strings.HasPrefix(imported, parent+"/")
	})
}

// uses returns the names of an import that the file uses: all its identifiers when
// the import has no name to tell them by.
func uses(file *ast.File, spec *ast.ImportSpec, imported string) []*ast.Ident {
	local := path.Base(imported)
	if spec.Name != nil {
		local = spec.Name.Name
	}
	var found []*ast.Ident
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == local {
				found = append(found, n.Sel)
			}
		case *ast.Ident:
			if local == "." {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}
