{{/* What the pods of all components share. */}}

{{/* `list $ "component" values config`: the metadata of a pod template; a changed config makes new pods. */}}
{{- define "kubescribe.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
labels:
  {{- merge (dict) $values.podLabels (include "kubescribe.podLabels" (list $root (index . 1)) | fromYaml) | toYaml | nindent 2 }}
{{- $annotations := dict "checksum/config" (sha256sum (index . 3)) -}}
{{- if and $root.Values.monitoring.enabled $root.Values.monitoring.podAnnotations -}}
{{- $port := ternary "9090" "9091" (eq (index . 1) "aggregator") -}}
{{- $annotations = merge $annotations (include "kubescribe.monitoring.podAnnotations" $port | fromYaml) -}}
{{- end }}
annotations:
  {{- merge (dict) $values.podAnnotations $annotations | toYaml | nindent 2 }}
{{- end }}

{{/* `list $ values`: where a pod may run, and from where its image comes. */}}
{{- define "kubescribe.placement" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Pod Security `restricted`. A recursive chown of a large volume would delay every start. */}}
{{- define "kubescribe.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "kubescribe.restrictedContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The port's name: alive (the loop turns), ready (it does its work), and time to open what is on the disk. */}}
{{- define "kubescribe.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: metrics}
  periodSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{/* What an agent proves itself with: its ServiceAccount's token, good for the aggregator alone. */}}
{{- define "kubescribe.linkToken" -}}
name: link-token
projected:
  sources:
    - serviceAccountToken:
        audience: kubescribe
        expirationSeconds: 3600
        path: token
{{- end }}
