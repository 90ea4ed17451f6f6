{{- define "tercet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "tercet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a selector may hold: it never changes. */}}
{{- define "tercet.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tercet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of an object; the standard ones can't be replaced. (list root more) */}}
{{- define "tercet.labels" -}}
{{- $root := index . 0 -}}
{{- $standard := fromYaml (include "tercet.selectorLabels" $root) -}}
{{- $_ := set $standard "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $standard "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $standard "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (merge $standard (index . 1) $root.Values.commonLabels) -}}
{{- end -}}

{{/* (list root name labels annotations); without a namespace where the root's kind has none: "tercet.clusterMetadata". */}}
{{- define "tercet.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
{{ include "tercet.labelsAndAnnotations" (list $root (index . 2) (index . 3)) }}
{{- end -}}

{{- define "tercet.clusterMetadata" -}}
name: {{ index . 1 | quote }}
{{ include "tercet.labelsAndAnnotations" (list (index . 0) (dict) (dict)) }}
{{- end -}}

{{- define "tercet.labelsAndAnnotations" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "tercet.labels" (list $root (index . 1)) | nindent 2 }}
{{- with merge (dict) (index . 2) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "tercet.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- if eq $tag "latest" }}{{ fail "image.tag is \"latest\"; name a version, so that a restart does not change it" }}{{ end -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end -}}

{{/* The three names of the store, alone or behind the release's. */}}
{{- define "tercet.metricsName" -}}{{- include "tercet.storeName" (list . .Values.server.metricsServiceName) -}}{{- end -}}
{{- define "tercet.logsName" -}}{{- include "tercet.storeName" (list . .Values.server.logsServiceName) -}}{{- end -}}
{{- define "tercet.tracesName" -}}{{- include "tercet.storeName" (list . .Values.server.tracesServiceName) -}}{{- end -}}
{{- define "tercet.storeName" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.server.sharedNames -}}
{{- index . 1 -}}
{{- else -}}
{{- printf "%s-%s" (include "tercet.fullname" $root | trunc 40 | trimSuffix "-") (index . 1) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Is the API there? (list root "group/version") */}}
{{- define "tercet.has" -}}
{{- if (index . 0).Capabilities.APIVersions.Has (index . 1) -}}true{{- end -}}
{{- end -}}

{{/* Does the server ask clients for certificates? */}}
{{- define "tercet.isMutual" -}}
{{- if and .Values.tls.existingSecret .Values.tls.clientCa.existingSecret -}}true{{- end -}}
{{- end -}}

{{- define "tercet.scheme" -}}
{{- ternary "https" "http" (not (empty .Values.tls.existingSecret)) -}}
{{- end -}}

{{- define "tercet.isAlertmanagerMounted" -}}
{{- if or .Values.server.alertmanagerConfigSecret.name (and .Values.server.alertmanagerConfig .Values.server.alertmanagerFilesSecret) -}}true{{- end -}}
{{- end -}}

{{/* Does the server talk to the Kubernetes API? */}}
{{- define "tercet.serverHasToken" -}}
{{- $wanted := toString .Values.server.mountToken -}}
{{- if eq $wanted "auto" -}}
{{- if or .Values.server.operatorObjects (regexMatch "kubernetes_sd_configs|/var/run/secrets/kubernetes.io" (toYaml .Values.server.scrapeConfigs)) -}}true{{- end -}}
{{- else if has $wanted (list "on" "true") -}}true
{{- end -}}
{{- end -}}

{{- define "tercet.serverAccount" -}}
{{- $made := ternary (include "tercet.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{- define "tercet.agentAccount" -}}
{{- $made := ternary (printf "%s-agent" (include "tercet.fullname" .)) (default "default" .Values.serviceAccount.name) .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.agentName -}}
{{- end -}}

{{/* Namespaces and names have no colon: no two releases get the same. */}}
{{- define "tercet.serverRole" -}}{{ .Release.Namespace }}:{{ include "tercet.fullname" . }}:server{{- end -}}
{{- define "tercet.agentRole" -}}{{ .Release.Namespace }}:{{ include "tercet.fullname" . }}:agent{{- end -}}

{{/* How agents reach the server, as Prometheus' http_config; empty where nothing is to be said. */}}
{{- define "tercet.clientConfig" -}}
{{- $client := dict -}}
{{- with .Values.auth -}}
{{- if .existingSecret -}}
{{- if .usernameKey -}}
{{- $_ := set $client "basic_auth" (dict "username_file" (printf "/etc/tercet-auth/%s" .usernameKey) "password_file" (printf "/etc/tercet-auth/%s" .passwordKey)) -}}
{{- else -}}
{{- $_ := set $client "authorization" (dict "credentials_file" (printf "/etc/tercet-auth/%s" .tokenKey)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.tls -}}
{{- if .existingSecret -}}
{{- $tls := dict -}}
{{- if .ca.key }}{{- $_ := set $tls "ca_file" (printf "/etc/tercet-server-ca/%s" .ca.key) -}}{{- end -}}
{{- if .clientSecret -}}
{{- $_ := set $tls "cert_file" "/etc/tercet-client/tls.crt" -}}
{{- $_ := set $tls "key_file" "/etc/tercet-client/tls.key" -}}
{{- end -}}
{{- if .serverName }}{{- $_ := set $tls "server_name" .serverName -}}{{- end -}}
{{- if $tls }}{{- $_ := set $client "tls_config" $tls -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if $client }}{{ toYaml $client }}{{- end -}}
{{- end -}}

{{/* The same for ServiceMonitors, which name Secrets. */}}
{{- define "tercet.monitorEndpoint" -}}
port: http
path: /metrics
scheme: {{ include "tercet.scheme" . }}
{{- with .Values.auth }}
{{- if .existingSecret }}
{{- if .usernameKey }}
basicAuth:
  username:
    name: {{ .existingSecret }}
    key: {{ .usernameKey }}
  password:
    name: {{ .existingSecret }}
    key: {{ .passwordKey }}
{{- else }}
authorization:
  credentials:
    name: {{ .existingSecret }}
    key: {{ .tokenKey }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.tls.existingSecret }}
tlsConfig:
  serverName: {{ default (printf "%s.%s.svc" (include "tercet.metricsName" .) .Release.Namespace) .Values.tls.serverName }}
  {{- with .Values.tls.ca.key }}
  ca:
    secret:
      name: {{ default $.Values.tls.existingSecret $.Values.tls.ca.existingSecret }}
      key: {{ . }}
  {{- end }}
  {{- with .Values.tls.clientSecret }}
  cert:
    secret:
      name: {{ . }}
      key: tls.crt
  keySecret:
    name: {{ . }}
    key: tls.key
  {{- end }}
{{- end }}
{{- end -}}

{{- define "tercet.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tercet.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* A request of the server's health. Probes can't show a certificate: where one is asked for, they have a port of their own. (list root path) */}}
{{- define "tercet.probe" -}}
{{- $root := index . 0 -}}
httpGet:
  path: {{ index . 1 }}
  {{- if include "tercet.isMutual" $root }}
  port: health
  {{- else }}
  port: http
  {{- if $root.Values.tls.existingSecret }}
  scheme: HTTPS
  {{- end }}
  {{- end }}
{{- end -}}

{{/* Where private authorities of outgoing connections are, for server and agents. */}}
{{- define "tercet.hasCa" -}}
{{- if or .Values.ca.existingSecret .Values.ca.existingConfigMap -}}true{{- end -}}
{{- end -}}

{{- define "tercet.caVolume" -}}
- name: ca
  {{- if .Values.ca.existingSecret }}
  secret:
    secretName: {{ .Values.ca.existingSecret }}
    defaultMode: 288
  {{- else }}
  configMap:
    name: {{ .Values.ca.existingConfigMap }}
  {{- end }}
{{- end -}}

{{/* Refuses what can't be. */}}
{{- define "tercet.validate" -}}
{{- if gt (int .Values.server.replicas) 1 -}}
{{- fail "server.replicas is more than 1: one process writes a bucket. Who needs more starts Mimir, Loki and Tempo on the same buckets: tercet deploy graduate (engine lgtm)" -}}
{{- end -}}
{{- $interval := include "tercet.seconds" .Values.scrape.interval | int -}}
{{- $timeout := include "tercet.seconds" .Values.scrape.timeout | int -}}
{{- if gt $timeout $interval -}}
{{- fail (printf "scrape.timeout %s is longer than scrape.interval %s" .Values.scrape.timeout .Values.scrape.interval) -}}
{{- end -}}
{{- range $name := list "retention" "logsRetention" "tracesRetention" -}}
{{- $value := index $.Values $name -}}
{{- if and $value (not (regexMatch "^[0-9]+(h|d|w|y)$" $value)) -}}
{{- fail (printf "%s is %s; hours, days, weeks or years like 30d were expected" $name $value) -}}
{{- end -}}
{{- end -}}
{{- if and (hasPrefix "http://" .Values.s3.endpoint) (not .Values.s3.allowInsecure) -}}
{{- fail (printf "s3.endpoint %s has no TLS; use https://, or allow it with s3.allowInsecure" .Values.s3.endpoint) -}}
{{- end -}}
{{- include "tercet.validateSecurity" . -}}
{{- include "tercet.validateAccounts" . -}}
{{- end -}}

{{- define "tercet.validateSecurity" -}}
{{- with .Values.auth -}}
{{- if and .existingSecret (not .usernameKey) (not .tokenKey) -}}
{{- fail "auth.existingSecret is named, and neither auth.usernameKey nor auth.tokenKey: nobody would get in" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.tls.clientCa.existingSecret (not .Values.tls.existingSecret) -}}
{{- fail "tls.clientCa.existingSecret needs tls.existingSecret: a server without a certificate can't ask clients for one" -}}
{{- end -}}
{{- if and (include "tercet.isMutual" .) (eq (default .Values.tls.clientCa.auth (get .Values.tls.clientCa.listeners "http")) "required") .Values.server.enabled .Values.agent.enabled (not .Values.agent.remoteWriteUrl) (not .Values.tls.clientSecret) -}}
{{- fail "tls.clientCa asks clients for certificates, and the agents have none: name a Secret with theirs in tls.clientSecret" -}}
{{- end -}}
{{- if and .Values.ca.existingSecret .Values.ca.existingConfigMap -}}
{{- fail "ca.existingSecret and ca.existingConfigMap are both named; one of them holds the authorities" -}}
{{- end -}}
{{- if and .Values.server.alertmanagerConfig .Values.server.alertmanagerConfigSecret.name -}}
{{- fail "server.alertmanagerConfig and server.alertmanagerConfigSecret are both given; one of them is alertmanager.yml" -}}
{{- end -}}
{{- if and .Values.server.alertmanagerFilesSecret (not .Values.server.alertmanagerConfig) (not .Values.server.alertmanagerConfigSecret.name) -}}
{{- fail "server.alertmanagerFilesSecret stands beside alertmanager.yml, and there is none: give server.alertmanagerConfig or server.alertmanagerConfigSecret" -}}
{{- end -}}
{{- end -}}

{{/* Rights are never given to the account of every pod in the namespace. */}}
{{- define "tercet.validateAccounts" -}}
{{- $account := .Values.serviceAccount -}}
{{- if .Values.rbac.create -}}
{{- if and .Values.server.enabled (include "tercet.serverHasToken" .) (eq (include "tercet.serverAccount" .) "default") -}}
{{- fail "serviceAccount.create is off and serviceAccount.name is empty: the rights to discover targets would go to the namespace's default account. Name an account, or set rbac.create to false" -}}
{{- end -}}
{{- if and .Values.agent.enabled (eq (include "tercet.agentAccount" .) "default") -}}
{{- fail "serviceAccount.create is off and serviceAccount.agentName is empty: the rights to discover targets would go to the namespace's default account. Name an account, or set rbac.create to false" -}}
{{- end -}}
{{- end -}}
{{- if and $account.create .Values.server.enabled .Values.agent.enabled (eq (include "tercet.serverAccount" .) (include "tercet.agentAccount" .)) -}}
{{- fail "serviceAccount.name and serviceAccount.agentName are the same, and both would be made" -}}
{{- end -}}
{{- end -}}

{{/* Seconds of a duration with one unit. */}}
{{- define "tercet.seconds" -}}
{{- if not (regexMatch "^[0-9]+(s|m|h)$" .) -}}{{- fail (printf "%s is no duration like 15s, 1m or 1h" .) -}}{{- end -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- if hasSuffix "s" . }}{{ $number }}{{ else if hasSuffix "m" . }}{{ mul $number 60 }}{{ else }}{{ mul $number 3600 }}{{ end -}}
{{- end -}}

{{- define "tercet.durability" -}}
{{- if ne .Values.durability "auto" -}}{{ .Values.durability }}
{{- else if and .Values.s3.buckets.metrics (not .Values.server.persistence.enabled) -}}bucket
{{- else -}}local
{{- end -}}
{{- end -}}

{{/* Credentials of a signal as environment variables. (list root signal) */}}
{{- define "tercet.s3Env" -}}
{{- $root := index . 0 -}}{{- $signal := index . 1 -}}
{{- $secret := default $root.Values.s3.secrets.metrics (index $root.Values.s3.secrets $signal) -}}
{{- if $secret }}
- name: TERCET_{{ upper $signal }}_BUCKET_S3_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: S3_ACCESS_KEY_ID
- name: TERCET_{{ upper $signal }}_BUCKET_S3_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: S3_SECRET_ACCESS_KEY
{{- end }}
{{- end -}}
