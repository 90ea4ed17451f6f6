{{/*
Values under other names: of charts of VictoriaMetrics, and of the documents that know this chart as a subchart called
victoriametrics. They are put where the templates look for them; every template does so first, and once more changes
nothing. The result is a line for each, for the notes.
*/}}
{{- define "tercet.aliases" -}}
{{- $values := .Values -}}
{{- with $values.victoriametrics -}}
{{- if hasKey . "enabled" }}{{- $_ := set $values "enabled" .enabled }}
victoriametrics.enabled is enabled
{{- end -}}
{{- if hasKey . "server" }}{{- $_ := mergeOverwrite $values.server .server }}
victoriametrics.server is server
{{- end -}}
{{- if hasKey . "vmagent" }}{{- $_ := mergeOverwrite $values.vmagent .vmagent }}
victoriametrics.vmagent is agent
{{- end -}}
{{- if hasKey . "scrape" }}{{- $_ := mergeOverwrite $values.scrape .scrape }}
victoriametrics.scrape is scrape
{{- end -}}
{{- end -}}
{{- with $values.vmagent -}}
{{- with .image -}}
{{- include "tercet.aliasImage" (list $ "vmagent.image" .) -}}
{{- end -}}
{{- $_ := mergeOverwrite $values.agent (omit . "image") }}
vmagent is agent
{{- end -}}
{{- with $values.server.image -}}
{{- include "tercet.aliasImage" (list $ "server.image" .) -}}
{{- end -}}
{{- with $values.server.retention -}}
{{- $_ := set $values "retention" (include "tercet.days" .) }}
server.retention is retention
{{- end -}}
{{- with $values.server.retentionPeriod -}}
{{- $_ := set $values "retention" (include "tercet.days" .) }}
server.retentionPeriod is retention
{{- end -}}
{{- with $values.server.persistentVolume -}}
{{- $_ := mergeOverwrite $values.server.persistence . }}
server.persistentVolume is server.persistence
{{- end -}}
{{- with $values.server.persistence.storageClassName -}}
{{- $_ := set $values.server.persistence "storageClass" . }}
server.persistence.storageClassName is server.persistence.storageClass
{{- end -}}
{{- with $values.server.env -}}
{{- if not (eq (toJson .) (toJson $values.server.extraEnv)) -}}
{{- $_ := set $values.server "extraEnv" . -}}
{{- end }}
server.env is server.extraEnv
{{- end -}}
{{- with $values.server.envFrom -}}
{{- $_ := set $values.server "extraEnvFrom" . }}
server.envFrom is server.extraEnvFrom
{{- end -}}
{{- end -}}

{{/* An image is one of Tercet, or nothing starts. (list root key image) */}}
{{- define "tercet.aliasImage" -}}
{{- $root := index . 0 -}}{{- $key := index . 1 -}}{{- $image := index . 2 -}}
{{- if regexMatch "victoria|vmagent|vmsingle" (default "" $image.repository) -}}
{{- fail (printf "%s.repository is %s, another program; image.repository names the image of Tercet (leave %s out for the chart's own)" $key $image.repository $key) -}}
{{- end -}}
{{- $_ := mergeOverwrite $root.Values.image $image }}
{{ $key }} is image
{{- end -}}

{{/* A number alone is months there. */}}
{{- define "tercet.days" -}}
{{- $text := toString . -}}
{{- if regexMatch "^[0-9]+$" $text -}}{{ mul 31 (int $text) }}d{{- else -}}{{ $text }}{{- end -}}
{{- end -}}
