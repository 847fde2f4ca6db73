{{/* Sizes: Kubernetes' and our own words for them to numbers. */}}

{{/* `20Gi`, `15GiB`, `1.5GB`, `4096` → bytes; the same units as docs/configuration.md. */}}
{{- define "kubescribe.bytes" -}}
{{- $text := ternary (printf "%.0f" (float64 .)) (toString .) (kindIs "float64" .) -}}
{{- $unit := regexFind "[A-Za-z]+$" $text | trimSuffix "B" -}}
{{- $factors := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if not (and (regexMatch "^[0-9.]+ ?[A-Za-z]*$" $text) (hasKey $factors $unit)) -}}
{{- fail (printf "%q is no size; write 15GiB, or 512MiB" $text) -}}
{{- end -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $factors $unit | float64) | printf "%.0f" -}}
{{- end }}

{{/* What the journal may take: three quarters of its volume, the rest is for the log before a checkpoint and for air. */}}
{{- define "kubescribe.retentionBytes" -}}
{{- $bytes := include "kubescribe.bytes" .Values.aggregator.persistence.size | float64 -}}
{{- divf (mulf $bytes 0.75) 1048576 | floor | printf "%.0fMiB" -}}
{{- end }}
