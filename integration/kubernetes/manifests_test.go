package kubernetes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// pods are the pods of each set of manifests.
func pods(t *testing.T) map[string]*corev1.PodTemplateSpec {
	t.Helper()
	return map[string]*corev1.PodTemplateSpec{
		"gateway":   &find[*appsv1.Deployment](t, render(t, manifests("gateway"))).Spec.Template,
		"daemonset": &find[*appsv1.DaemonSet](t, render(t, manifests("daemonset"))).Spec.Template,
		"example":   &find[*appsv1.Deployment](t, render(t, manifests("example"))).Spec.Template,
	}
}

// sidecarOrMain is the container of certproxy.
func sidecarOrMain(t *testing.T, pod *corev1.PodTemplateSpec) corev1.Container {
	t.Helper()
	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		if c.Name == "certproxy" {
			return c
		}
	}
	t.Fatal("the pod has no container certproxy")
	return corev1.Container{}
}

// The admission of a namespace that enforces the level restricted lets every pod in,
// and would not without what the manifests say: so this shows something.
func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for name, pod := range pods(t) {
		if r := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)); !r.Allowed {
			t.Errorf("%s: restricted forbids it: %s", name, r.ForbiddenDetail())
		}
		loose := pod.DeepCopy()
		for i := range loose.Spec.InitContainers {
			loose.Spec.InitContainers[i].SecurityContext = nil
		}
		for i := range loose.Spec.Containers {
			loose.Spec.Containers[i].SecurityContext = nil
		}
		if policy.AggregateCheckResults(evaluator.EvaluatePod(level, &loose.ObjectMeta, &loose.Spec)).Allowed {
			t.Errorf("%s: restricted lets it in without its security context", name)
		}
	}
}

func TestStrictDecoderSeesMistakes(t *testing.T) {
	decoder := newDecoder(t)
	text, err := os.ReadFile(filepath.Join(manifests("gateway"), "service.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := decoder.Decode(text, nil, nil); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"targetPort": "targetport", "  name: certproxy\n": "  name: certproxy\n  name: certproxy\n"} {
		if _, _, err := decoder.Decode([]byte(strings.Replace(string(text), from, to, 1)), nil, nil); err == nil {
			t.Errorf("%q in place of %q is no error", to, from)
		}
	}
}

// What the container may write to is memory or an emptyDir; its own files are nobody's.
func TestContainersAreAsTheImageIsMade(t *testing.T) {
	for name, pod := range pods(t) {
		c := sidecarOrMain(t, pod)
		if ro := c.SecurityContext.ReadOnlyRootFilesystem; ro == nil || !*ro {
			t.Errorf("%s: the root file system can be written", name)
		}
		if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
			t.Errorf("%s: the pod has a token of the API, which nothing in it needs", name)
		}
		if len(c.Args) == 0 || c.Args[0] != "serve" {
			t.Errorf("%s: the arguments are %q", name, c.Args)
		}
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: the resources are %v", name, c.Resources)
		}
		if c.StartupProbe == nil || c.LivenessProbe == nil {
			t.Errorf("%s: a probe is missing", name)
		}
		mounted := map[string]bool{}
		for _, m := range c.VolumeMounts {
			mounted[m.MountPath] = m.ReadOnly
		}
		for path, readOnly := range map[string]bool{"/var/lib/certproxy": true, "/etc/certproxy/certs.d": true, "/tmp": false} {
			if got, ok := mounted[path]; !ok || got != readOnly {
				t.Errorf("%s: %s: mounted %v, read-only %v; want read-only %v", name, path, ok, got, readOnly)
			}
		}
	}
}

// Secrets come under cert-manager's names and are read under Docker's.
func TestSecretsAreMappedToDockersNames(t *testing.T) {
	for name, pod := range pods(t) {
		var hosts, keys int
		for _, v := range pod.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				hosts++
				for _, item := range s.Secret.Items {
					dir, file := filepath.Split(item.Path)
					if strings.Contains(item.Path, ":") || !strings.HasSuffix(dir, "_/") {
						t.Errorf("%s: %s is not below host_port_", name, item.Path)
					}
					want := map[string]string{corev1.TLSCertKey: "client.cert", corev1.TLSPrivateKeyKey: "client.key", "ca.crt": "ca.crt"}
					if file != want[item.Key] {
						t.Errorf("%s: %s becomes %s; want %s", name, item.Key, file, want[item.Key])
					}
					keys++
				}
			}
		}
		if hosts == 0 || keys != 3*hosts {
			t.Errorf("%s: %d hosts with %d files", name, hosts, keys)
		}
	}
}

func TestSidecarStartsFirstAndStaysInThePod(t *testing.T) {
	pod := find[*appsv1.Deployment](t, render(t, manifests("example"))).Spec.Template
	side := pod.Spec.InitContainers[0]
	if side.RestartPolicy == nil || *side.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Error("the sidecar is an init container that has to end")
	}
	if !slices.Contains(side.Args, "--listen=127.0.0.1:3128") {
		t.Errorf("the sidecar's arguments are %q; want a listener that other pods do not reach", side.Args)
	}
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		for _, v := range pod.Spec.Volumes {
			if v.Name != m.Name || v.Secret == nil {
				continue
			}
			if len(v.Secret.Items) != 1 || v.Secret.Items[0].Key != "ca.crt" {
				t.Errorf("the application can read %v; want the CA's certificate alone", v.Secret.Items)
			}
		}
	}
}

// Each of Service, budget, policy and autoscaler is about the pods, and about no others.
func TestSelectorsMatchThePods(t *testing.T) {
	for _, name := range []string{"gateway", "daemonset"} {
		objects := render(t, manifests(name))
		pod := pods(t)[name]
		matches := func(what string, selector *metav1.LabelSelector) {
			t.Helper()
			s, err := metav1.LabelSelectorAsSelector(selector)
			if err != nil || s.Empty() || !s.Matches(labels.Set(pod.Labels)) {
				t.Errorf("%s: the selector of the %s is %v (%v); the pods have %v", name, what, s, err, pod.Labels)
			}
		}
		service := find[*corev1.Service](t, objects)
		matches("service", &metav1.LabelSelector{MatchLabels: service.Spec.Selector})
		if local := service.Spec.InternalTrafficPolicy; (local != nil && *local == corev1.ServiceInternalTrafficPolicyLocal) != (name == "daemonset") {
			t.Errorf("%s: the service's internalTrafficPolicy is %v", name, local)
		}
		network := find[*networkingv1.NetworkPolicy](t, objects)
		matches("network policy", &network.Spec.PodSelector)
		if len(network.Spec.PolicyTypes) != 2 || len(network.Spec.Ingress) != 1 || len(network.Spec.Ingress[0].From) != 1 {
			t.Errorf("%s: the network policy lets in %v", name, network.Spec.Ingress)
		}
		if name == "gateway" {
			matches("disruption budget", find[*policyv1.PodDisruptionBudget](t, objects).Spec.Selector)
		}
		c := sidecarOrMain(t, pod)
		if grace := pod.Spec.TerminationGracePeriodSeconds; c.Lifecycle.PreStop.Sleep.Seconds+25 >= *grace {
			t.Errorf("%s: %d s are too few for preStop and drain_timeout", name, *grace)
		}
	}
}

func TestAutoscalerTakesTheReplicasOver(t *testing.T) {
	dir := t.TempDir()
	top, err := filepath.Abs("../../deploy/kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	// As docs/kubernetes.md writes it; kustomize wants paths that are relative.
	relative, err := filepath.Rel(dir, top)
	if err != nil {
		t.Fatal(err)
	}
	text := "resources: [" + relative + "/gateway]\ncomponents: [" + relative + "/autoscaling]\n"
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	objects := render(t, dir)
	deployment := find[*appsv1.Deployment](t, objects)
	target := find[*autoscalingv2.HorizontalPodAutoscaler](t, objects).Spec.ScaleTargetRef
	if deployment.Spec.Replicas != nil {
		t.Errorf("the deployment still wants %d replicas: each apply would undo the autoscaler", *deployment.Spec.Replicas)
	}
	if target.Name != deployment.Name || target.Kind != "Deployment" {
		t.Errorf("the autoscaler is for %v", target)
	}
}

// No manifest is left out of the tests above.
func TestEveryManifestIsRendered(t *testing.T) {
	entries, err := os.ReadDir("../../deploy/kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	tested := []string{"autoscaling", "daemonset", "example", "gateway", "sidecar"}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(tested, e.Name()) {
			t.Errorf("deploy/kubernetes/%s is not tested here", e.Name())
		}
	}
}
