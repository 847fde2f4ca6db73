{{/* The YAML files of settings, one for each role: what the chart decides, and the operator's settings over it. */}}

{{/* People come from other machines only with a credential; without one, through `kubectl port-forward` to loopback. */}}
{{- define "kubescribe.settings.aggregator" -}}
{{- $values := .Values.aggregator -}}
{{- $ingest := dict "listen" ":8081" "audience" "kubescribe"
    "clusterAccounts" (list (printf "%s/%s" .Release.Namespace (include "kubescribe.clusterAgent" .))) -}}
{{- if .Values.nodeAgent.enabled -}}
{{- $_ := set $ingest "nodeAccounts" (list (printf "%s/%s" .Release.Namespace (include "kubescribe.nodeAgent" .))) -}}
{{- end -}}
{{- $own := dict
    "http" (dict "listen" (ternary ":8080" "127.0.0.1:8080" (not (empty .Values.auth.tokenSecret))) "basePath" $values.basePath)
    "ingest" $ingest
-}}
{{- if not $values.persistence.existingClaim -}}
{{- $_ := set $own "store" (dict "retentionBytes" (include "kubescribe.retentionBytes" .)) -}}
{{- end -}}
{{- with include "kubescribe.loki.settings" . | fromJson -}}{{- $_ := set $own "loki" . -}}{{- end -}}
{{- with .Values.gateway.tenants -}}{{- $_ := set $own "gateway" (dict "tenants" .) -}}{{- end -}}
{{- toYaml (mergeOverwrite $own (deepCopy $values.settings)) -}}
{{- end }}

{{- define "kubescribe.settings.clusterAgent" -}}
{{- $own := dict
    "aggregator" (include "kubescribe.ingestUrl" .)
    "election" (dict "leaseName" (include "kubescribe.clusterAgent" .))
-}}
{{- with .Values.clusterName -}}{{- $_ := set $own "cluster" . -}}{{- end -}}
{{- $kinds := list -}}
{{- range .Values.clusterAgent.extraKinds -}}
{{- $kinds = append $kinds (ternary (printf "%s/%s/%s" .group .version .kind) (printf "%s/%s" .version .kind) (not (empty .group))) -}}
{{- end -}}
{{- with $kinds -}}{{- $_ := set $own "watch" (dict "kinds" .) -}}{{- end -}}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.clusterAgent.settings)) -}}
{{- end }}

{{/* `list $ values`: "true" where an agent reads usage, as `usage.read` and the profile say; "" where it does not. */}}
{{- define "kubescribe.readsUsage" -}}
{{- $read := dig "usage" "read" "auto" (index . 1).settings -}}
{{- if or (eq $read "always") (and (eq $read "auto") (eq (index . 0).Values.profile "standalone")) -}}true{{- end -}}
{{- end }}

{{/* 15 s of jitter: 300 nodes that start together then list one after the other, 20 a second. */}}
{{- define "kubescribe.settings.nodeAgent" -}}
{{- $own := dict "aggregator" (include "kubescribe.ingestUrl" .) "watch" (dict "startJitter" "15s") -}}
{{- with .Values.clusterName -}}{{- $_ := set $own "cluster" . -}}{{- end -}}
{{- with include "kubescribe.loki.settings" . | fromJson -}}{{- $_ := set $own "loki" . -}}{{- end -}}
{{- with .Values.logs.podLabels -}}{{- $_ := set $own "logs" (dict "podLabels" .) -}}{{- end -}}
{{- if .Values.gateway.enabled -}}
{{- $gateway := dict "listen" ":8081" -}}
{{- with .Values.gateway.tenants -}}{{- $_ := set $gateway "tenants" . -}}{{- end -}}
{{- $_ := set $own "gateway" $gateway -}}
{{- end -}}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.nodeAgent.settings)) -}}
{{- end }}
