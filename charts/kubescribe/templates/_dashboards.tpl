{{/* Names and metadata of the dashboards in files/dashboards, for the ConfigMaps and for who reads these. */}}

{{/* `list $ "kubescribe-incident"`: the release's name instead of the project's, so that two releases get on. */}}
{{- define "kubescribe.dashboard" -}}
{{ include "kubescribe.fullname" (index . 0) }}-dashboard-{{ index . 1 | trimPrefix "kubescribe-" }}
{{- end }}

{{- define "kubescribe.dashboardNamespace" -}}
{{- default .Release.Namespace .Values.monitoring.dashboards.namespace -}}
{{- end }}

{{/* As JSON. Argo CD: what is larger than 256 KiB does not fit into the annotation of a client-side apply. */}}
{{- define "kubescribe.dashboardMetadata" -}}
{{- $dashboards := .Values.monitoring.dashboards -}}
{{- $own := dict "argocd.argoproj.io/sync-options" "ServerSideApply=true" -}}
{{- if and $dashboards.folder $dashboards.folderAnnotation -}}
{{- $_ := set $own $dashboards.folderAnnotation $dashboards.folder -}}
{{- end -}}
{{- toJson (dict "labels" $dashboards.labels "annotations" (merge (dict) $dashboards.annotations $own)) -}}
{{- end }}
