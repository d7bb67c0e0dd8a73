{{/* Variables that say where broker and database are. Takes root, role (whose users; the administrator's and the owner's without it) and management (whether the management API is looked at). */}}
{{- define "cupline.connections" -}}
{{- $user := and .role (include "cupline.userSecret" .) -}}
{{- $login := and .role (include "cupline.loginSecret" .) -}}
{{- $users := .root.Values.rabbitmq.users -}}
{{- $broker := .root.Values.rabbitmq -}}
{{- $database := .root.Values.postgres -}}
{{- $quick := .root.Values.quickstart.enabled -}}
{{- $keys := $quick | ternary (dict "urlKey" "connection_string" "hostKey" "host" "usernameKey" "username" "passwordKey" "password") $broker -}}
{{- $secret := include "cupline.rabbitmqSecret" .root -}}
{{- $watched := and .management $broker.management.enabled -}}
{{- $whole := and $watched (not $quick) (not $user) $broker.management.urlKey -}}
{{- if or $user (and $watched (not $whole)) }}
- name: RABBITMQ_HOST
  {{- if and $broker.host (not $quick) }}
  value: {{ $broker.host | quote }}
  {{- else }}
  {{- include "cupline.fromSecret" (dict "name" $secret "key" $keys.hostKey) | nindent 2 }}
  {{- end }}
{{- end }}
{{- if $user }}
- name: RABBITMQ_PASSWORD
  {{- include "cupline.fromSecret" (dict "name" $user "key" .role) | nindent 2 }}
- name: AMQP_URL
  value: {{ printf "%s://%s-%s:$(RABBITMQ_PASSWORD)@$(RABBITMQ_HOST):%d/%s" (and $broker.tls.enabled (not $quick) | ternary "amqps" "amqp") $users.prefix .role (int ($quick | ternary 5672 $broker.port)) ($quick | ternary "" (urlquery $broker.virtualHost)) | quote }}
{{- else }}
- name: AMQP_URL
  {{- include "cupline.fromSecret" (dict "name" $secret "key" $keys.urlKey) | nindent 2 }}
{{- end }}
- name: DATABASE_URL
  {{- if $login }}
  {{- include "cupline.fromSecret" (dict "name" $login "key" .role) | nindent 2 }}
  {{- else }}
  {{- include "cupline.fromSecret" (dict "name" (include "cupline.postgresSecret" .root) "key" ($quick | ternary "uri" $database.urlKey)) | nindent 2 }}
  {{- end }}
{{- if $whole }}
- name: RABBITMQ_MANAGEMENT_URL
  {{- include "cupline.fromSecret" (dict "name" $secret "key" $broker.management.urlKey) | nindent 2 }}
{{- else if $watched }}
- name: RABBITMQ_MANAGEMENT_USER
  {{- if $user }}
  value: {{ printf "%s-monitor" $users.prefix | quote }}
  {{- else }}
  {{- include "cupline.fromSecret" (dict "name" $secret "key" $keys.usernameKey) | nindent 2 }}
  {{- end }}
- name: RABBITMQ_MANAGEMENT_PASSWORD
  {{- if $user }}
  {{- include "cupline.fromSecret" (dict "name" (include "cupline.userSecret" (dict "root" .root "role" "monitor")) "key" "monitor") | nindent 2 }}
  {{- else }}
  {{- include "cupline.fromSecret" (dict "name" $secret "key" $keys.passwordKey) | nindent 2 }}
  {{- end }}
- name: RABBITMQ_MANAGEMENT_URL
  value: {{ printf "%s://$(RABBITMQ_MANAGEMENT_USER):$(RABBITMQ_MANAGEMENT_PASSWORD)@$(RABBITMQ_HOST):%d" ($quick | ternary "http" $broker.management.scheme) ($quick | ternary 15672 $broker.management.port | int) | quote }}
{{- end }}
{{- if $broker.tls.caSecret }}
- name: CUPLINE_AMQP_CA_FILE
  value: /etc/cupline/broker/ca.crt
- name: CUPLINE_MANAGEMENT_CA_FILE
  value: /etc/cupline/broker/ca.crt
# Beside the system's authorities: for the management API, of the command line.
- name: SSL_CERT_DIR
  value: /etc/cupline/broker
{{- end }}
{{- if or $database.tls.mode $database.tls.caSecret }}
# Both hold where a URL does not say otherwise.
- name: PGSSLMODE
  value: {{ default "verify-full" $database.tls.mode | quote }}
{{- end }}
{{- if $database.tls.caSecret }}
- name: PGSSLROOTCERT
  value: /etc/cupline/database/ca.crt
{{- end }}
{{- end -}}

{{- define "cupline.fromSecret" -}}
valueFrom:
  secretKeyRef:
    name: {{ .name | quote }}
    key: {{ .key | quote }}
{{- end -}}

{{/* Where the files of TLS are mounted: whole folders, since a single file would never change. Takes root and certificate (the Secret of the public port's). */}}
{{- define "cupline.mounts" -}}
{{- range $name, $_ := include "cupline.folders" . | fromYaml }}
- name: {{ $name }}
  mountPath: {{ printf "/etc/cupline/%s" $name }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "cupline.volumes" -}}
{{- range $name, $source := include "cupline.folders" . | fromYaml }}
- name: {{ $name }}
  secret:
    secretName: {{ $source.secret | quote }}
    items:
      {{- range $file, $key := $source.files }}
      - {key: {{ $key | quote }}, path: {{ $file | quote }}}
      {{- end }}
{{- end }}
{{- end -}}

{{- define "cupline.folders" -}}
{{- $folders := dict -}}
{{- with .root.Values.rabbitmq.tls -}}
{{- if .caSecret }}{{ $_ := set $folders "broker" (dict "secret" .caSecret "files" (dict "ca.crt" .caKey)) }}{{ end -}}
{{- end -}}
{{- with .root.Values.postgres.tls -}}
{{- if .caSecret }}{{ $_ := set $folders "database" (dict "secret" .caSecret "files" (dict "ca.crt" .caKey)) }}{{ end -}}
{{- end -}}
{{- with .certificate }}{{ $_ := set $folders "tls" (dict "secret" . "files" (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) }}{{ end -}}
{{- toYaml $folders -}}
{{- end -}}

{{/* Variables about JSON Web Tokens; none without an issuer. */}}
{{- define "cupline.jwt" -}}
{{- with .Values.jwt -}}
{{- if .jwksUrl -}}
{{- $claims := .claims -}}
{{- range $name, $value := dict "JWKS_URL" .jwksUrl "ISSUER" .issuer "AUDIENCE" (join "," .audience) "LEEWAY" .leeway "REFRESH" .refresh "TENANT_CLAIM" $claims.tenant "CLIENT_CLAIM" $claims.client "SCOPE_CLAIM" $claims.scope }}
- name: CUPLINE_JWT_{{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The janitor's own user of the database, in the recorders' pods; without its login there, it is off. */}}
{{- define "cupline.janitor" -}}
name: CUPLINE_JANITOR_DATABASE_URL
valueFrom:
  secretKeyRef:
    {{- $login := include "cupline.loginSecret" (dict "root" . "role" "janitor") }}
    {{- if $login }}
    name: {{ $login | quote }}
    key: janitor
    optional: true
    {{- else }}
    name: {{ include "cupline.postgresSecret" . | quote }}
    key: {{ .Values.quickstart.enabled | ternary "uri" .Values.postgres.urlKey | quote }}
    {{- end }}
{{- end -}}

{{/* Whose connections are ended when they may not log in any more, in the recorders' pods, beside the janitor's login: an administrator does that. */}}
{{- define "cupline.disconnect" -}}
{{- if .Values.quickstart.enabled -}}
{{- $secret := include "cupline.rabbitmqSecret" . -}}
{{- range $name, $key := dict "HOST" "host" "USER" "username" "PASSWORD" "password" }}
- name: CUPLINE_DEVICES_MANAGEMENT_{{ $name }}
  {{- include "cupline.fromSecret" (dict "name" $secret "key" $key) | nindent 2 }}
{{- end }}
- name: CUPLINE_DEVICES_MANAGEMENT_URL
  value: http://$(CUPLINE_DEVICES_MANAGEMENT_USER):$(CUPLINE_DEVICES_MANAGEMENT_PASSWORD)@$(CUPLINE_DEVICES_MANAGEMENT_HOST):15672
{{- else if .Values.deviceLogins.disconnect.existingSecret -}}
- name: CUPLINE_DEVICES_MANAGEMENT_URL
  {{- include "cupline.fromSecret" (dict "name" .Values.deviceLogins.disconnect.existingSecret "key" .Values.deviceLogins.disconnect.urlKey) | nindent 2 }}
{{- end }}
{{- end -}}
