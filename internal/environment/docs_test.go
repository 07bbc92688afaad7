package environment

import (
	"os"
	"strings"
	"testing"
)

func TestTheDocumentationNamesEveryVariable(t *testing.T) {
	text, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## What each client reads")
	names := append(TrustNames(), "JAVA_TOOL_OPTIONS", "GIT_CONFIG_COUNT")
	for _, v := range Proxy("") {
		names = append(names, v.Name)
	}
	for _, name := range names {
		if !strings.Contains(table, "`"+name+"`") && !strings.EqualFold(name, "http_proxy") {
			t.Errorf("docs/clients.md does not say who reads %s", name)
		}
	}
}
