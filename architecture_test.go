package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// floor is the storey of each package of ours (ARCHITECTURE.md). A package imports floors below
// its own; beside lists what stands next to the house, and sameFloor the arrows within a floor.
var floor = map[string]int{
	"network": 0, "failpoint": 0, "convert": 0,
	"wire": 1, "database": 1, "database/upgrades": 0,
	"whatsapp": 2, "whatsapp/linked": 2, "messenger": 2, "interop": 2,
	"puppet": 3, "portal": 3,
	"delivery": 4,
	"bridge":   5, "admin": 5, "setup": 5,
	"": 6,
}

var sameFloor = map[string][]string{
	"whatsapp/linked": {"whatsapp"},
	"portal":          {"puppet"},
	"bridge":          {"admin", "setup"},
}

// never lists the imports that would break the house although the floors allow them. An entry
// ending in a slash stands for everything below it.
var never = map[string][]string{
	"network": {
		"maunium.net/", "go.mau.fi/whatsmeow", "github.com/rs/zerolog", "sync", "net", "net/http", "os", "database/sql",
	},
	"wire":            {"maunium.net/", "causeway/interop", "causeway/database"},
	"database":        {"maunium.net/go/mautrix/bridgev2", "go.mau.fi/whatsmeow"},
	"whatsapp":        {"maunium.net/", "causeway/messenger", "causeway/interop", "causeway/database"},
	"whatsapp/linked": {"maunium.net/", "causeway/messenger", "causeway/interop"},
	"messenger":       {"maunium.net/", "causeway/whatsapp", "causeway/interop", "causeway/database"},
	"interop":         {"maunium.net/", "go.mau.fi/whatsmeow", "causeway/whatsapp", "causeway/messenger"},
	"puppet":          {"causeway/wire", "causeway/database", "causeway/interop", "net/http", "database/sql", "sync"},
	"portal":          {"causeway/wire", "causeway/database", "causeway/interop", "net/http", "database/sql", "sync"},
	"delivery":        {"causeway/wire", "causeway/interop", "causeway/whatsapp", "causeway/messenger"},
	"admin":           {"causeway/wire", "causeway/whatsapp", "causeway/messenger"},
	"setup":           {"causeway/wire", "causeway/whatsapp", "causeway/messenger"},
	"bridge":          {"go.mau.fi/whatsmeow"},
	"simulator":       {"go.mau.fi/whatsmeow"},
}

func TestFloorPlan(t *testing.T) {
	for _, file := range sources(t) {
		for _, imported := range file.imports {
			if problem := forbidden(file.pkg, imported, file.test); problem != "" {
				t.Errorf("%s imports %s: %s", file.path, imported, problem)
			}
		}
	}
}

// forbidden says why a package must not import another, or nothing.
func forbidden(pkg, imported string, test bool) string {
	ours, isOurs := strings.CutPrefix(imported, "causeway/")
	if top(pkg) == "simulator" {
		switch {
		case isOurs && top(ours) != "simulator":
			return "the simulator shares no code with the bridge"
		case !test && slices.Contains(never["simulator"], imported):
			return "the simulator plays the other side of this client"
		}
		return ""
	}
	if test || besides(pkg) {
		return ""
	}
	for _, bad := range never[pkg] {
		if imported == bad || strings.HasPrefix(imported, strings.TrimSuffix(bad, "/")+"/") && bad != "net" {
			return "ARCHITECTURE.md keeps this apart"
		}
	}
	if !isOurs {
		return ""
	}
	if besides(ours) {
		return "only commands and tests may use what stands beside the house"
	}
	own, known := floor[pkg]
	if !known {
		return "the package has no floor in architecture_test.go"
	}
	if floor[ours] >= own && !slices.Contains(sameFloor[pkg], ours) && !strings.HasPrefix(ours, pkg+"/") {
		return "that floor is not below this one"
	}
	return ""
}

// Converting media is the one thing that needs other programs, and convert the one place that bounds them.
func TestOnlyConvertStartsProcesses(t *testing.T) {
	for _, file := range sources(t) {
		if !file.test && !besides(file.pkg) && file.pkg != "convert" {
			require.NotContains(t, file.imports, "os/exec", file.path)
		}
	}
}

// besides says whether a package stands next to the house: simulators, commands, end-to-end tests, conformance suites.
func besides(pkg string) bool {
	return slices.Contains([]string{"simulator", "cmd", "e2e"}, top(pkg)) || strings.HasSuffix(pkg, "test")
}

func top(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	return first
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	said := map[string]bool{}
	for _, file := range sources(t) {
		if !file.test {
			said[file.pkg] = said[file.pkg] || len(strings.TrimSpace(file.doc)) > 40
		}
	}
	for pkg, ok := range said {
		require.True(t, ok, "package %q needs a comment: what it is for, and what it is not for", pkg)
	}
}

// The words Portal, Ghost, User and Message belong to bridgev2 (and network.Message to the network side).
func TestActorsBelongToBridgev2(t *testing.T) {
	for _, file := range sources(t) {
		if file.test || besides(file.pkg) {
			continue
		}
		for _, name := range file.types {
			if slices.Contains([]string{"Portal", "Ghost", "User", "Message"}, name) {
				require.Equal(t, "network", file.pkg, "%s declares a type %s", file.path, name)
			}
		}
	}
}

func TestNoInitAndNoDrawersForEverything(t *testing.T) {
	for _, file := range sources(t) {
		for _, drawer := range []string{"internal", "pkg", "common", "utils", "helpers", "types", "models"} {
			require.NotContains(t, strings.Split(file.pkg, "/"), drawer, file.path)
		}
		if !file.test {
			require.False(t, file.hasInit, "%s has an init function", file.path)
		}
	}
}

type source struct {
	path, pkg, doc string
	test, hasInit  bool
	imports, types []string
}

func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "build" || path == "e2e/hs"):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		found = append(found, readSource(t, path))
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found
}

func readSource(t *testing.T, path string) source {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	require.NoError(t, err)
	src := source{path: path, pkg: strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "."), test: strings.HasSuffix(path, "_test.go")}
	if file.Doc != nil {
		src.doc = file.Doc.Text()
	}
	for _, spec := range file.Imports {
		src.imports = append(src.imports, strings.Trim(spec.Path.Value, `"`))
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			src.hasInit = src.hasInit || d.Recv == nil && d.Name.Name == "init"
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if typ, ok := spec.(*ast.TypeSpec); ok {
					src.types = append(src.types, typ.Name.Name)
				}
			}
		}
	}
	return src
}

// A comment that points at a clause points at one that exists.
func TestCitedClausesExist(t *testing.T) {
	pages := map[string]string{}
	citation := regexp.MustCompile(`(docs/[a-z-]+\.md)#([a-z0-9-]+)`)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || path == "build"):
			return fs.SkipDir
		case entry.IsDir() || !slices.Contains([]string{".go", ".sql", ".md", ".yaml"}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, cited := range citation.FindAllStringSubmatch(string(text), -1) {
			page, name := cited[1], cited[2]
			if pages[page] == "" {
				content, err := os.ReadFile(page)
				require.NoError(t, err, path)
				pages[page] = string(content)
			}
			require.Contains(t, pages[page], `<a id="`+name+`">`, "%s cites %s#%s", path, page, name)
		}
		return nil
	})
	require.NoError(t, err)
}
