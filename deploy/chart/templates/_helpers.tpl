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

{{- define "tercet.labels" -}}
{{ include "tercet.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
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

{{- define "tercet.serviceAccountName" -}}
{{- default (include "tercet.fullname" .) .Values.serviceAccount.name -}}
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
