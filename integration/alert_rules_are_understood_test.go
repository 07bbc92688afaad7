package integration

import (
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Prometheus itself reads the alert rules, fires those that it should, and finds no fault
// with the metrics.
func TestAlertRulesAreUnderstood(t *testing.T) {
	t.Parallel()
	rig.Need(t, "promtool", "curl")
	rig.OK(t, rig.Command{Args: []string{"promtool", "check", "rules", "--lint-fatal", "../deploy/prometheus/alerts.yaml"}})
	rig.OK(t, rig.Command{Args: []string{"promtool", "test", "rules", "testdata/alerts_test.yaml"}})
	proxy := rig.Serve(t, rig.Options{})
	metrics := rig.OK(t, rig.Command{Args: []string{"curl", "--disable", "--silent", "--fail", "--unix-socket", proxy.Admin, "http://localhost/metrics"}})
	if got := rig.Run(t, rig.Command{Args: []string{"promtool", "check", "metrics"}, Input: metrics}); got.Exit != 0 {
		t.Errorf("promtool check metrics: exit status %d\n%s%s", got.Exit, got.Stdout, got.Stderr)
	}
}
