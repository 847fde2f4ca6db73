{{/* Names, labels and the image: what every object says of itself. */}}

{{- define "kubescribe.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* 40 characters leave room for `-cluster-agent` and for the hash in a label of a StatefulSet's pods. */}}
{{- define "kubescribe.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "kubescribe.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "kubescribe.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "kubescribe.aggregator" -}}{{ include "kubescribe.fullname" . }}-aggregator{{- end }}
{{- define "kubescribe.clusterAgent" -}}{{ include "kubescribe.fullname" . }}-cluster-agent{{- end }}
{{- define "kubescribe.nodeAgent" -}}{{ include "kubescribe.fullname" . }}-node-agent{{- end }}
{{- define "kubescribe.gateway" -}}{{ include "kubescribe.fullname" . }}-gateway{{- end }}

{{/* Where agents reach the aggregator. */}}
{{- define "kubescribe.ingestUrl" -}}
http://{{ include "kubescribe.aggregator" . }}.{{ .Release.Namespace }}.svc:8081
{{- end }}

{{/* `list $ "component"`: what selects the pods of a component; it never changes in the life of a release. */}}
{{- define "kubescribe.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "kubescribe.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The labels of pods; not the chart's version, so that a chart that changes nothing in them restarts nothing. */}}
{{- define "kubescribe.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "kubescribe.selector" . }}
app.kubernetes.io/part-of: kubescribe
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "kubescribe.labels" -}}
{{- $root := index . 0 -}}
{{ include "kubescribe.podLabels" . }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "kubescribe.image" -}}
{{- with .Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest -}}
@{{ .Values.image.digest }}
{{- else -}}
:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{/* The claim of the journal's volume. */}}
{{- define "kubescribe.claim" -}}
{{- default (include "kubescribe.aggregator" .) .Values.aggregator.persistence.existingClaim -}}
{{- end }}

{{/* Where people see our page, for the links of dashboards: as told, else through the ingress, else a place to fill in. */}}
{{- define "kubescribe.pageUrl" -}}
{{- $path := .Values.aggregator.basePath | trimSuffix "/" -}}
{{- $scheme := ternary "https" "http" (or .Values.ingress.alb.enabled (not (empty .Values.ingress.tls))) -}}
{{- if .Values.monitoring.dashboards.pageUrl -}}
{{ .Values.monitoring.dashboards.pageUrl | trimSuffix "/" }}
{{- else if and .Values.ingress.enabled .Values.ingress.host -}}
{{ $scheme }}://{{ .Values.ingress.host }}{{ $path }}
{{- else -}}
https://kubescribe.example.com{{ $path }}
{{- end -}}
{{- end }}
