{{- define "cupline.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that choose pods; they never change. Takes root and component. */}}
{{- define "cupline.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end -}}

{{/* All labels of an object. Takes root and component. */}}
{{- define "cupline.labels" -}}
{{ include "cupline.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: cupline
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | quote }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object. Takes root, component and name. */}}
{{- define "cupline.metadata" -}}
name: {{ .name | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "cupline.labels" . | nindent 2 }}
{{- end -}}

{{- define "cupline.image" -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" .Values.image.repository .Values.image.digest | quote }}
{{- else -}}
{{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
{{- end -}}
{{- end -}}

{{- define "cupline.rabbitmqSecret" -}}
{{- .Values.quickstart.enabled | ternary (printf "%s-quickstart" (include "cupline.fullname" .)) .Values.rabbitmq.existingSecret -}}
{{- end -}}

{{- define "cupline.postgresSecret" -}}
{{- .Values.quickstart.enabled | ternary (printf "%s-quickstart" (include "cupline.fullname" .)) .Values.postgres.existingSecret -}}
{{- end -}}

{{/* The Secret with the URL of a service's own user of the database; empty when it logs in as the owner. Takes root and role. */}}
{{- define "cupline.loginSecret" -}}
{{- with .root.Values -}}
{{- .quickstart.enabled | ternary (printf "%s-quickstart" (include "cupline.fullname" $.root)) (default .postgres.logins.existingSecret (get .postgres.logins.secrets $.role)) -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the password of a service's own user of the broker; empty when it logs in as the administrator. Takes root and role. */}}
{{- define "cupline.userSecret" -}}
{{- with .root.Values -}}
{{- .quickstart.enabled | ternary (printf "%s-quickstart-users" (include "cupline.fullname" $.root)) (default .rabbitmq.users.existingSecret (get .rabbitmq.users.secrets $.role)) -}}
{{- end -}}
{{- end -}}

{{/* Whether RabbitMQ asks the API about devices: "true" or nothing. */}}
{{- define "cupline.deviceLogins" -}}
{{- if or .Values.quickstart.enabled .Values.deviceLogins.enabled -}}true{{- end -}}
{{- end -}}

{{/* The tenant of the first key. */}}
{{- define "cupline.adminTenant" -}}
{{- default (and .Values.quickstart.enabled .Values.quickstart.demo | ternary "demo" "default") .Values.migrations.adminKey.tenant -}}
{{- end -}}

{{- define "cupline.adminSecret" -}}
{{- default (printf "%s-admin-key" (include "cupline.fullname" .)) .Values.migrations.adminKey.secretName -}}
{{- end -}}

{{/* "hook" or "job": what the release itself brings cannot be there before it. */}}
{{- define "cupline.migrationMode" -}}
{{- .Values.quickstart.enabled | ternary "job" .Values.migrations.mode -}}
{{- end -}}

{{/* Annotations of what the migration needs, before it. Takes root and weight. */}}
{{- define "cupline.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
