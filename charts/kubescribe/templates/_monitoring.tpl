{{/* What the objects for Prometheus and Grafana share: which are made, how they are labelled, what scrapes have in common. */}}

{{/* "true" where the Prometheus operator's objects are made; "" where they are not. */}}
{{- define "kubescribe.hasOperator" -}}
{{- with .Values.monitoring -}}
{{- if and .enabled (or (eq .operator "always") ($.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) -}}true{{- end -}}
{{- end -}}
{{- end }}

{{/*
`list $ "component" part`: labels and annotations of an object of that part of the values. Merged, so that a key that is
said twice (commonLabels, and what Prometheus selects by) is there once: Flux and kustomize refuse it twice.
*/}}
{{- define "kubescribe.monitoring.metadata" -}}
{{- $root := index . 0 -}}
{{- $part := index . 2 -}}
labels:
  {{- $own := include "kubescribe.labels" (list $root (index . 1)) | fromYaml }}
  {{- merge (dict) $part.labels $root.Values.monitoring.labels $own | toYaml | nindent 2 }}
{{- with merge (dict) $part.annotations $root.Values.monitoring.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
`list scrape relabelings`: one endpoint. Our families about the cluster have `namespace`, `pod` and `node` of their own,
which a scrape without honorLabels would rename.
*/}}
{{- define "kubescribe.monitoring.endpoint" -}}
{{- $scrape := index . 0 -}}
port: metrics
path: /metrics
honorLabels: true
{{- with $scrape.interval }}
interval: {{ . }}
{{- end }}
{{- with $scrape.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
relabelings:
  {{- /* Two releases of one name would write the same series otherwise, and sums would have everything twice. */}}
  {{- $installation := list (dict "sourceLabels" (list "__meta_kubernetes_namespace") "targetLabel" "installation") }}
  {{- include "kubescribe.monitoring.relabelings" (concat (index . 1) $installation $scrape.relabelings) | nindent 2 }}
{{- with $scrape.metricRelabelings }}
metricRelabelings:
  {{- include "kubescribe.monitoring.relabelings" . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Each with its action: the API server fills in the default, which Argo CD takes for a difference that never ends. */}}
{{- define "kubescribe.monitoring.relabelings" -}}
{{- $whole := list -}}
{{- range . -}}{{- $whole = append $whole (merge (dict) . (dict "action" "replace")) -}}{{- end -}}
{{- toYaml $whole -}}
{{- end }}

{{/* `list $ "component" "key of values"`: how the agents of a component are scraped. */}}
{{- define "kubescribe.monitoring.podMonitor" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $scrape := get $root.Values.monitoring.scrape (index . 2) -}}
{{- $relabelings := list
    (dict "targetLabel" "job" "replacement" "kubescribe-agent")
    (dict "sourceLabels" (list "__meta_kubernetes_pod_name") "targetLabel" "instance")
-}}
{{- if eq $component "node-agent" -}}
{{- $relabelings = append $relabelings (dict "sourceLabels" (list "__meta_kubernetes_pod_node_name") "targetLabel" "node") -}}
{{- end -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ include (printf "kubescribe.%s" (index . 2)) $root }}
  namespace: {{ $root.Release.Namespace }}
  {{- include "kubescribe.monitoring.metadata" (list $root $component $scrape) | nindent 2 }}
spec:
  selector:
    matchLabels:
      {{- include "kubescribe.selector" (list $root $component) | nindent 6 }}
  podMetricsEndpoints:
    - {{- include "kubescribe.monitoring.endpoint" (list $scrape $relabelings) | nindent 6 }}
{{- end }}

{{/* `port`: for a Prometheus that finds pods by their annotations. */}}
{{- define "kubescribe.monitoring.podAnnotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ . | quote }}
prometheus.io/path: /metrics
{{- end }}

{{/* Labels as a selector on a command line: `release=kps,team=sre`. */}}
{{- define "kubescribe.monitoring.words" -}}
{{- $words := list -}}
{{- range $key, $value := . -}}{{- $words = append $words (printf "%s=%s" $key $value) -}}{{- end -}}
{{- join "," $words -}}
{{- end }}
