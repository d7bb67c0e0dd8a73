{{- define "cupline.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
{{- /* Else files that their owner alone may read, such as Erlang's cookie, are opened to the group whenever a volume is mounted again. */}}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "cupline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* A service's pod. Takes root, component, program, role (its user of broker and database), management (whether it looks at the management API), config, teardown (seconds after the drain), env (a list) and public (whether clients come). */}}
{{- define "cupline.pod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "cupline.labels" . | nindent 4 }}
  {{- with merge (deepCopy .config.podAnnotations) $root.Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "cupline.podSecurity" (dict "user" 65532) | nindent 4 }}
  {{- with .config.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  # What serving on, draining and leaving may take, and a little more: else the kubelet kills what is under way.
  terminationGracePeriodSeconds: {{ add $root.Values.preStopSeconds .config.drainSeconds .teardown 5 }}
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "cupline.selector" $ | nindent 10 }}
    {{- end }}
  {{- with .config.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .config.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .config.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .program }}
      image: {{ include "cupline.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [{{ printf "/usr/bin/%s" .program | quote }}]
      securityContext:
        {{- include "cupline.containerSecurity" $root | nindent 8 }}
      env:
        {{- $env := include "cupline.env" . }}
        {{- include "cupline.checkTwice" (dict "where" .name "env" $env) }}
        {{- $env | trim | nindent 8 }}
      ports:
        {{- if .public }}
        - name: http
          containerPort: 8080
        {{- end }}
        - name: internal
          containerPort: 9100
      startupProbe:
        httpGet: {path: /healthz, port: internal}
        periodSeconds: 1
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: internal}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: internal}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      {{- if gt (int $root.Values.preStopSeconds) 0 }}
      lifecycle:
        preStop:
          # The kubelet's own: there is no shell in the image.
          sleep:
            seconds: {{ $root.Values.preStopSeconds }}
      {{- end }}
      resources:
        {{- toYaml .config.resources | nindent 8 }}
      {{- $certificate := .public | ternary (dig "tls" "secretName" "" .config) "" }}
      {{- with include "cupline.mounts" (dict "root" $root "certificate" $certificate) | trim }}
      volumeMounts:
        {{- . | nindent 8 }}
      {{- end }}
  {{- with include "cupline.volumes" (dict "root" $root "certificate" $certificate) | trim }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* A service's variables. Takes what cupline.pod takes. */}}
{{- define "cupline.env" -}}
{{- $root := .root }}
{{- include "cupline.connections" (dict "root" $root "role" .role "management" .management) }}
- name: CUPLINE_INTERNAL_ADDR
  value: ":9100"
{{- if .public }}
- name: CUPLINE_LISTEN
  value: ":8080"
{{- with include "cupline.jwt" $root | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- with .config.tls.secretName }}
- name: CUPLINE_TLS_CERT_FILE
  value: /etc/cupline/tls/tls.crt
- name: CUPLINE_TLS_KEY_FILE
  value: /etc/cupline/tls/tls.key
{{- end }}
{{- end }}
- name: CUPLINE_DRAIN
  value: {{ printf "%ds" (int .config.drainSeconds) | quote }}
- name: CUPLINE_LOG_LEVEL
  value: {{ $root.Values.logLevel | quote }}
{{- with $root.Values.tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ $root.Values.tracing.ratio | quote }}
{{- end }}
{{- if not (hasKey .config.settings "GOMEMLIMIT") }}
# The collector learns the container's limit, so that it works harder before the kernel kills.
- name: GOMEMLIMIT
  valueFrom:
    resourceFieldRef:
      resource: limits.memory
{{- end }}
{{- with .env }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- range $name, $value := .config.settings }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- with $root.Values.extraEnv }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{/* A list with a name twice is refused by the API server where Helm 4 applies it, and under Helm 3 the last one wins unseen. Takes where and env. */}}
{{- define "cupline.checkTwice" -}}
{{- $seen := dict -}}
{{- range fromYamlArray .env -}}
{{- if hasKey $seen .name -}}
{{- fail (printf "%s: the variable %s is set twice: by the chart, by settings or by extraEnv." $.where .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- end -}}

{{/* A Deployment. Takes what cupline.pod takes, and name. */}}
{{- define "cupline.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "cupline.metadata" . | nindent 2 }}
spec:
  {{- include "cupline.replicas" .config | nindent 2 }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "cupline.selector" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  template:
    {{- include "cupline.pod" . | nindent 4 }}
{{- end -}}

{{/* The number of pods, unless something or somebody scales them. Takes the component's values. */}}
{{- define "cupline.replicas" -}}
{{- $kind := dig "autoscaling" "kind" "none" . -}}
{{- if and (eq $kind "none") (not (kindIs "invalid" .replicas)) -}}
replicas: {{ .replicas }}
{{- end -}}
{{- end -}}

{{/* An HPA by CPU. Takes root, component, name and config. */}}
{{- define "cupline.hpa" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "cupline.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ .name | quote }}
  minReplicas: {{ .config.autoscaling.minReplicas }}
  maxReplicas: {{ .config.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .config.autoscaling.cpuPercent }}
{{- end -}}

{{- define "cupline.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "cupline.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  # A pod that is not ready serves nobody: a node may be drained of it.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "cupline.selector" . | nindent 6 }}
{{- end -}}

{{/* What clients reach: never the internal port. Takes root, component, name and config. */}}
{{- define "cupline.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "cupline.metadata" . | nindent 2 }}
  {{- with .config.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .config.service.type }}
  ports:
    - name: http
      port: {{ .config.service.port }}
      targetPort: http
      appProtocol: {{ empty .config.tls.secretName | ternary "http" "https" }}
  selector:
    {{- include "cupline.selector" . | nindent 4 }}
{{- end -}}

{{/* Takes root, component, name, config and annotations. */}}
{{- define "cupline.ingress" -}}
{{- $annotations := merge (deepCopy .config.ingress.annotations) .annotations -}}
{{- if .config.tls.secretName }}{{ $_ := set $annotations "nginx.ingress.kubernetes.io/backend-protocol" "HTTPS" }}{{ end -}}
{{- with .root.Values.certManager.clusterIssuer }}{{ $_ := set $annotations "cert-manager.io/cluster-issuer" . }}{{ end -}}
{{- with .root.Values.certManager.issuer }}{{ $_ := set $annotations "cert-manager.io/issuer" . }}{{ end -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "cupline.metadata" . | nindent 2 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .config.ingress.className }}
  ingressClassName: {{ . | quote }}
  {{- end }}
  {{- with .config.ingress.tlsSecret }}
  tls:
    - hosts: [{{ $.config.ingress.host | quote }}]
      secretName: {{ . | quote }}
  {{- end }}
  rules:
    - host: {{ .config.ingress.host | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ .name | quote }}
                port:
                  name: http
{{- end -}}

{{/* Takes root, component, name, config and timeout. */}}
{{- define "cupline.route" -}}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "cupline.metadata" . | nindent 2 }}
spec:
  parentRefs:
    {{- toYaml .config.route.parentRefs | nindent 4 }}
  {{- with .config.route.hostnames }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - matches:
        - path: {type: PathPrefix, value: /}
      timeouts:
        request: {{ .timeout }}
      backendRefs:
        - name: {{ .name | quote }}
          port: {{ .config.service.port }}
{{- end -}}

{{/* A certificate of cert-manager for a service's public port. Takes root, component, name and config. */}}
{{- define "cupline.certificate" -}}
{{- $hosts := list .name (printf "%s.%s" .name .root.Release.Namespace) (printf "%s.%s.svc" .name .root.Release.Namespace) -}}
{{- with .config.ingress.host }}{{ $hosts = append $hosts . }}{{ end -}}
{{- $hosts = concat $hosts .config.route.hostnames -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "cupline.metadata" . | nindent 2 }}
spec:
  secretName: {{ .config.tls.secretName | quote }}
  dnsNames:
    {{- toYaml $hosts | nindent 4 }}
  privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Always}
  usages: [digital signature, server auth]
  issuerRef:
    kind: {{ empty .root.Values.certManager.issuer | ternary "ClusterIssuer" "Issuer" }}
    name: {{ default .root.Values.certManager.clusterIssuer .root.Values.certManager.issuer | quote }}
{{- end -}}
