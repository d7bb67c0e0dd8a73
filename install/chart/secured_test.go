package chart_test

import (
	"slices"
	"strings"
	"testing"

	cert "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
)

// env is a container's variables: their plain values, or "SECRET/KEY".
func env(c core.Container) map[string]string {
	all := map[string]string{}
	for _, e := range c.Env {
		all[e.Name] = e.Value
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			all[e.Name] = e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
		}
	}
	return all
}

// pod is the one workload with a name.
func pod(t *testing.T, all []object, name string) workload {
	t.Helper()
	for _, w := range workloads(all) {
		if w.GetName() == name {
			return w
		}
	}
	t.Fatalf("no workload %s", name)
	return workload{}
}

func TestServicesConnectToTheBrokerAsThemselves(t *testing.T) {
	t.Parallel()
	all := rendered(t, "secured")
	for name, want := range map[string]struct{ role, password, database string }{
		"cupline-api":                {"api", "broker-users/api", "login-api/api"},
		"cupline-dispatcher-default": {"dispatcher", "broker-users/dispatcher", "login-dispatcher/dispatcher"},
		"cupline-recorder":           {"recorder", "broker-users/recorder", "login-recorder/recorder"},
		"cupline-pusher":             {"pusher", "broker-pusher/pusher", "login-pusher/pusher"},
	} {
		vars := env(pod(t, all, name).pod.Containers[0])
		if got := vars["AMQP_URL"]; got != "amqps://shop-"+want.role+":$(RABBITMQ_PASSWORD)@$(RABBITMQ_HOST):5671/%2Fshop" {
			t.Errorf("%s connects to %s", name, got)
		}
		if vars["RABBITMQ_PASSWORD"] != want.password || vars["RABBITMQ_HOST"] != "broker-default-user/host" || vars["DATABASE_URL"] != want.database {
			t.Errorf("%s: %v", name, vars)
		}
		// The administrator's password is for the migration alone, and so is the owner's.
		for variable, from := range vars {
			if from == "broker-default-user/password" || from == "broker-default-user/connection_string" || strings.HasPrefix(from, "database-app/") {
				t.Errorf("%s has %s from %s", name, variable, from)
			}
		}
		watches := vars["RABBITMQ_MANAGEMENT_URL"] != ""
		if watches != (name != "cupline-recorder") || watches && vars["RABBITMQ_MANAGEMENT_USER"] != "shop-monitor" {
			t.Errorf("%s: management API %v", name, vars)
		}
		if order := names(pod(t, all, name).pod.Containers[0].Env); slices.Index(order, "RABBITMQ_PASSWORD") > slices.Index(order, "AMQP_URL") {
			t.Errorf("%s: %v: Kubernetes expands what was named before", name, order)
		}
	}
}

func names(all []core.EnvVar) []string {
	var found []string
	for _, e := range all {
		found = append(found, e.Name)
	}
	return found
}

func TestTheMigrationMakesTheUsers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"secured", "quickstart"} {
		all, made := rendered(t, name), 0
		for _, w := range workloads(all) {
			for _, c := range w.containers() {
				if c.Name != "topology" {
					continue
				}
				made++
				vars := env(c)
				for _, role := range []string{"API", "DISPATCHER", "RECORDER", "PUSHER", "MONITOR"} {
					if from := vars["CUPLINE_AMQP_PASSWORD_"+role]; !strings.HasSuffix(from, "/"+strings.ToLower(role)) {
						t.Errorf("%s: password of %s from %q", name, role, from)
					}
				}
				if prefix := c.Args[slices.Index(c.Args, "--user-prefix")+1]; name == "secured" && prefix != "shop" {
					t.Errorf("users are called %s-", prefix)
				}
			}
		}
		if made != 1 {
			t.Errorf("%s: %d steps make users", name, made)
		}
	}
}

// TestCertificatesAreMountedSoThatTheyMayChange: the kubelet renews whole folders, never a file mounted by itself.
func TestCertificatesAreMountedSoThatTheyMayChange(t *testing.T) {
	t.Parallel()
	all := rendered(t, "secured")
	for name, want := range map[string]map[string]string{
		"cupline-api":                {"CUPLINE_TLS_CERT_FILE": "api-tls/tls.crt", "CUPLINE_TLS_KEY_FILE": "api-tls/tls.key", "CUPLINE_AMQP_CA_FILE": "broker-tls/ca.crt", "PGSSLROOTCERT": "database-ca/ca.crt"},
		"cupline-pusher":             {"CUPLINE_TLS_CERT_FILE": "pusher-tls/tls.crt", "CUPLINE_TLS_KEY_FILE": "pusher-tls/tls.key", "CUPLINE_AMQP_CA_FILE": "broker-tls/ca.crt"},
		"cupline-dispatcher-default": {"CUPLINE_TLS_CERT_FILE": "", "CUPLINE_AMQP_CA_FILE": "broker-tls/ca.crt", "PGSSLROOTCERT": "database-ca/ca.crt"},
		"cupline-recorder":           {"CUPLINE_AMQP_CA_FILE": "broker-tls/ca.crt", "PGSSLROOTCERT": "database-ca/ca.crt"},
		"cupline-migrate":            {"PGSSLROOTCERT": "database-ca/ca.crt"},
		"cupline-test":               {"PGSSLROOTCERT": "database-ca/ca.crt"},
	} {
		w := pod(t, all, name)
		for _, c := range w.containers() {
			vars := env(c)
			if vars["PGSSLMODE"] != "verify-full" || vars["SSL_CERT_DIR"] != "/etc/cupline/broker" {
				t.Errorf("%s/%s: %v", name, c.Name, vars)
			}
			for variable, file := range want {
				if got := fileAt(w, c, vars[variable]); got != file {
					t.Errorf("%s/%s: %s is %s, from %q, want %q", name, c.Name, variable, vars[variable], got, file)
				}
			}
			for _, mount := range c.VolumeMounts {
				if strings.HasPrefix(mount.MountPath, "/etc/cupline") && (mount.SubPath != "" || !mount.ReadOnly) {
					t.Errorf("%s/%s: %+v", name, c.Name, mount)
				}
			}
		}
	}
}

// fileAt finds which Secret's key is mounted at a path, "SECRET/KEY".
func fileAt(w workload, c core.Container, path string) string {
	for _, mount := range c.VolumeMounts {
		file, below := strings.CutPrefix(path, mount.MountPath+"/")
		if !below {
			continue
		}
		for _, volume := range w.pod.Volumes {
			if volume.Name != mount.Name || volume.Secret == nil {
				continue
			}
			for _, item := range volume.Secret.Items {
				if item.Path == file {
					return volume.Secret.SecretName + "/" + item.Key
				}
			}
		}
	}
	return ""
}

func TestTheBrokerAloneReachesWhereItAsksAboutDevices(t *testing.T) {
	t.Parallel()
	all := rendered(t, "secured")
	asked := only[*core.Service](t, all, "cupline-api-broker")
	if asked.Spec.Type != core.ServiceTypeClusterIP || len(asked.Spec.Ports) != 1 || asked.Spec.Ports[0].TargetPort.StrVal != "internal" {
		t.Errorf("service %+v", asked.Spec)
	}
	for _, o := range all {
		if i, ok := o.(*networking.Ingress); ok && i.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name == asked.Name {
			t.Errorf("the Ingress %s makes it public", i.Name)
		}
	}
	for _, o := range all {
		p, ok := o.(*networking.NetworkPolicy)
		if !ok {
			continue
		}
		for _, rule := range p.Spec.Ingress {
			internal := slices.ContainsFunc(rule.Ports, func(q networking.NetworkPolicyPort) bool { return q.Port.StrVal == "internal" })
			fromBroker := len(rule.From) == 1 && rule.From[0].PodSelector != nil && rule.From[0].PodSelector.MatchLabels["app.kubernetes.io/name"] == "broker"
			if internal != fromBroker || internal && p.Name != "cupline-api" {
				t.Errorf("%s: %+v", p.Name, rule)
			}
		}
	}
	if env(pod(t, all, "cupline-api").pod.Containers[0])["CUPLINE_DEVICE_CERTIFICATES"] != "true" {
		t.Error("devices may not log in by certificates")
	}
	if plain := rendered(t, "minimal"); slices.ContainsFunc(plain, func(o object) bool { return o.GetName() == "cupline-api-broker" }) {
		t.Error("the Service is there without deviceLogins")
	}
}

func TestRecordersAloneEndDevicesConnections(t *testing.T) {
	t.Parallel()
	const url = "CUPLINE_DEVICES_MANAGEMENT_URL"
	all := rendered(t, "secured")
	for _, w := range workloads(all) {
		i := slices.IndexFunc(w.pod.Containers[0].Env, func(v core.EnvVar) bool { return v.Name == url })
		if recorder := w.GetName() == "cupline-recorder"; recorder != (i >= 0) {
			t.Errorf("%s: %s is there: %t", w.GetName(), url, i >= 0)
		} else if recorder {
			if from := w.pod.Containers[0].Env[i].ValueFrom.SecretKeyRef; from.Name != "broker-administrator" || from.Key != "url" {
				t.Errorf("it comes from %+v", from)
			}
		}
	}
	reaches := slices.ContainsFunc(only[*networking.NetworkPolicy](t, all, "cupline-recorder").Spec.Egress, func(rule networking.NetworkPolicyEgressRule) bool {
		return slices.ContainsFunc(rule.Ports, func(q networking.NetworkPolicyPort) bool { return q.Port.IntVal == 15671 })
	})
	if !reaches {
		t.Error("its NetworkPolicy does not let the recorder reach the management API")
	}
	if value := env(pod(t, rendered(t, "quickstart"), "cupline-recorder").pod.Containers[0])[url]; value == "" {
		t.Error("quickstart ends no connections")
	}
}

func TestTokensOfAnIssuerAreForWhomClientsReach(t *testing.T) {
	t.Parallel()
	all := rendered(t, "secured")
	for _, w := range workloads(all) {
		vars := env(w.pod.Containers[0])
		public := w.GetName() == "cupline-api" || w.GetName() == "cupline-pusher"
		if public != (vars["CUPLINE_JWT_JWKS_URL"] == "https://id.example.com/keys") || public && (vars["CUPLINE_JWT_AUDIENCE"] != "cupline,shop" || vars["CUPLINE_JWT_TENANT_CLAIM"] != "org") {
			t.Errorf("%s: %v", w.GetName(), vars)
		}
	}
}

func TestCertManagerIssuesForTheNamesThatAreCalled(t *testing.T) {
	t.Parallel()
	all := rendered(t, "secured")
	c := only[*cert.Certificate](t, all, "cupline-api")
	if c.Spec.SecretName != "api-tls" || c.Spec.IssuerRef.Name != "internal" || c.Spec.IssuerRef.Kind != "Issuer" ||
		!slices.Contains(c.Spec.DNSNames, "api.example.com") || !slices.Contains(c.Spec.DNSNames, "cupline-api.shop.svc") {
		t.Errorf("%+v", c.Spec)
	}
	if got := only[*networking.Ingress](t, all, "cupline-api").Annotations["nginx.ingress.kubernetes.io/backend-protocol"]; got != "HTTPS" {
		t.Errorf("the Ingress speaks %q to a port with a certificate", got)
	}
	if p := *only[*core.Service](t, all, "cupline-pusher").Spec.Ports[0].AppProtocol; p != "https" {
		t.Errorf("the pushers' port speaks %s", p)
	}
}

func TestKEDATrustsTheBrokersAuthority(t *testing.T) {
	t.Parallel()
	all := rendered(t, "secured")
	scaler := only[*keda.ScaledObject](t, all, "cupline-dispatcher-default").Spec.Triggers[0]
	trust := only[*keda.TriggerAuthentication](t, all, "cupline-broker")
	if scaler.AuthenticationRef == nil || scaler.AuthenticationRef.Name != trust.Name || scaler.Metadata["vhostName"] != "/shop" {
		t.Errorf("trigger %+v", scaler)
	}
	vars := env(only[*apps.Deployment](t, all, "cupline-dispatcher-default").Spec.Template.Spec.Containers[0])
	if trust.Spec.SecretTargetRef[0].Name != "broker-tls" || vars[trust.Spec.Env[0].Name] != "enable" || vars[scaler.Metadata["hostFromEnv"]] == "" {
		t.Errorf("%+v with %v", trust.Spec, vars)
	}
}
