{{- define "cupline.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
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

{{/* Variables that say where broker and database are. Takes root, and login: whose user of the database; the owner without it. */}}
{{- define "cupline.connections" -}}
{{- $login := and (include "cupline.loginsSecret" .root) .login -}}
{{- with .root -}}
- name: AMQP_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "cupline.rabbitmqSecret" . | quote }}
      key: {{ .Values.quickstart.enabled | ternary "connection_string" .Values.rabbitmq.urlKey | quote }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      {{- if $login }}
      name: {{ include "cupline.loginsSecret" . | quote }}
      key: {{ $login | quote }}
      {{- else }}
      name: {{ include "cupline.postgresSecret" . | quote }}
      key: {{ .Values.quickstart.enabled | ternary "uri" .Values.postgres.urlKey | quote }}
      {{- end }}
{{- if .Values.rabbitmq.management.enabled }}
{{- if and .Values.rabbitmq.management.urlKey (not .Values.quickstart.enabled) }}
- name: RABBITMQ_MANAGEMENT_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "cupline.rabbitmqSecret" . | quote }}
      key: {{ .Values.rabbitmq.management.urlKey | quote }}
{{- else }}
{{- $keys := .Values.rabbitmq }}
{{- if .Values.quickstart.enabled }}
{{- $keys = dict "hostKey" "host" "usernameKey" "username" "passwordKey" "password" }}
{{- end }}
{{- range $variable, $key := dict "RABBITMQ_HOST" $keys.hostKey "RABBITMQ_USERNAME" $keys.usernameKey "RABBITMQ_PASSWORD" $keys.passwordKey }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ include "cupline.rabbitmqSecret" $.root | quote }}
      key: {{ $key | quote }}
{{- end }}
- name: RABBITMQ_MANAGEMENT_URL
  value: {{ printf "%s://$(RABBITMQ_USERNAME):$(RABBITMQ_PASSWORD)@$(RABBITMQ_HOST):%d" (.Values.quickstart.enabled | ternary "http" .Values.rabbitmq.management.scheme) (.Values.quickstart.enabled | ternary 15672 .Values.rabbitmq.management.port | int) | quote }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The janitor's own user of the database, in the recorders' pods; without its login there, it is off. */}}
{{- define "cupline.janitor" -}}
name: CUPLINE_JANITOR_DATABASE_URL
valueFrom:
  secretKeyRef:
    {{- if include "cupline.loginsSecret" . }}
    name: {{ include "cupline.loginsSecret" . | quote }}
    key: janitor
    optional: true
    {{- else }}
    name: {{ include "cupline.postgresSecret" . | quote }}
    key: {{ .Values.quickstart.enabled | ternary "uri" .Values.postgres.urlKey | quote }}
    {{- end }}
{{- end -}}

{{/* A service's pod. Takes root, component, program, login (its user of the database), config, teardown (seconds after the drain), env (a list) and public (whether clients come). */}}
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
        {{- include "cupline.connections" (dict "root" $root "login" .login) | nindent 8 }}
        - name: CUPLINE_INTERNAL_ADDR
          value: ":9100"
        {{- if .public }}
        - name: CUPLINE_LISTEN
          value: ":8080"
        {{- end }}
        - name: CUPLINE_DRAIN
          value: {{ printf "%ds" (int .config.drainSeconds) | quote }}
        - name: CUPLINE_LOG_LEVEL
          value: {{ $root.Values.logLevel | quote }}
        # The collector learns the container's limit, so that it works harder before the kernel kills.
        - name: GOMEMLIMIT
          valueFrom:
            resourceFieldRef:
              resource: limits.memory
        {{- with .env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- range $name, $value := .config.settings }}
        - name: {{ $name }}
          value: {{ $value | toString | quote }}
        {{- end }}
        {{- with $root.Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
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
      appProtocol: http
  selector:
    {{- include "cupline.selector" . | nindent 4 }}
{{- end -}}

{{/* Takes root, component, name, config and annotations. */}}
{{- define "cupline.ingress" -}}
{{- $annotations := merge (deepCopy .config.ingress.annotations) .annotations -}}
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
