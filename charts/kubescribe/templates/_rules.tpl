{{/* The rules of files/rules for a PrometheusRule. They hold `{{ $labels… }}` of Prometheus: read and merged, never templated. */}}

{{/* The names of all alerts, as a JSON list. */}}
{{- define "kubescribe.alertNames" -}}
{{- $names := list -}}
{{- range (.Files.Get "files/rules/alerts.yaml" | fromYaml).groups -}}
{{- range .rules -}}{{- $names = append $names .alert -}}{{- end -}}
{{- end -}}
{{- toJson (sortAlpha $names) -}}
{{- end }}

{{/* The groups of alerts as the values have them, as a JSON list. Empty groups are left out. */}}
{{- define "kubescribe.alertGroups" -}}
{{- $alerts := .Values.monitoring.alerts -}}
{{- $groups := list -}}
{{- range (.Files.Get "files/rules/alerts.yaml" | fromYaml).groups -}}
{{- $withoutWord := and (hasPrefix "kubescribe-cluster-facing" .name) (not $alerts.clusterFacing) -}}
{{- $rules := list -}}
{{- range .rules -}}
{{- if not (ternary (get $alerts.disabled .alert) $withoutWord (hasKey $alerts.disabled .alert)) -}}
{{- $rules = append $rules (include "kubescribe.alert" (list $alerts .) | fromJson) -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}{{- $groups = append $groups (merge (dict "rules" $rules) .) -}}{{- end -}}
{{- end -}}
{{- toJson $groups -}}
{{- end }}

{{/* `list alerts rule`: one alert with what is laid over it, as JSON. */}}
{{- define "kubescribe.alert" -}}
{{- $alerts := index . 0 -}}
{{- $rule := deepCopy (index . 1) -}}
{{- $override := get $alerts.overrides $rule.alert | default dict -}}
{{- $labels := merge (dict) ($override.labels | default dict) $alerts.additionalLabels ($rule.labels | default dict) -}}
{{- with $override.severity -}}{{- $_ := set $labels "severity" . -}}{{- end -}}
{{- $annotations := $rule.annotations | default dict -}}
{{- range $name, $base := dict "runbook_url" $alerts.runbookUrl "dashboard_url" $alerts.dashboardUrl -}}
{{- if and $base (hasKey $annotations $name) -}}
{{- $path := get $annotations $name | trimPrefix "/" -}}
{{- if not (regexMatch "^https?://" $path) -}}
{{- $_ := set $annotations $name (printf "%s/%s" (trimSuffix "/" $base) $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $_ := set $rule "labels" $labels -}}
{{- $_ := set $rule "annotations" (merge (dict) ($override.annotations | default dict) $annotations) -}}
{{- range $key, $value := $rule -}}{{- if not $value -}}{{- $_ := unset $rule $key -}}{{- end -}}{{- end -}}
{{- toJson (merge (dict) (omit $override "severity" "labels" "annotations") $rule) -}}
{{- end }}

{{/* Names that nothing has would be forgotten switches: a typo, or an alert of another version. And two scrapes of one pod. */}}
{{- define "kubescribe.monitoring.validate" -}}
{{- $alerts := .Values.monitoring.alerts -}}
{{- $known := include "kubescribe.alertNames" . | fromJsonArray -}}
{{- range $key, $named := dict "disabled" $alerts.disabled "overrides" $alerts.overrides -}}
{{- range $name, $_ := $named -}}
{{- if not (has $name $known) -}}
{{- fail (printf "monitoring.alerts.%s.%s: there is no alert of that name. There are: %s." $key $name (join ", " $known)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $scrapes := list -}}
{{- range $key, $scrape := .Values.monitoring.scrape -}}
{{- if $scrape.enabled -}}{{- $scrapes = append $scrapes (printf "monitoring.scrape.%s.enabled=false" $key) -}}{{- end -}}
{{- end -}}
{{- if and .Values.monitoring.podAnnotations $scrapes (include "kubescribe.hasOperator" .) -}}
{{- fail (printf "monitoring.podAnnotations: the Prometheus operator is there (or monitoring.operator=always), and what is scraped by monitors and by annotations is counted twice. Leave podAnnotations away; or, where Prometheus takes no monitors, set %s." (join ", " $scrapes)) -}}
{{- end -}}
{{- $dashboards := list -}}
{{- range $path, $_ := .Files.Glob "files/dashboards/*.json" -}}
{{- $dashboards = append $dashboards (base $path | trimSuffix ".json") -}}
{{- end -}}
{{- range $name, $_ := .Values.monitoring.dashboards.disabled -}}
{{- if not (has $name $dashboards) -}}
{{- fail (printf "monitoring.dashboards.disabled.%s: there is no dashboard of that uid. There are: %s." $name (join ", " $dashboards)) -}}
{{- end -}}
{{- end -}}
{{- end }}
