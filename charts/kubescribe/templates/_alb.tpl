{{/* Annotations for the AWS Load Balancer Controller; their values are strings, always. */}}

{{- define "kubescribe.albAnnotations" -}}
{{- with .Values.ingress.alb -}}
{{- if .enabled -}}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]'
alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds=30
{{- with .groupName }}
alb.ingress.kubernetes.io/group.name: {{ . | quote }}
{{- end }}
{{- with .groupOrder }}
alb.ingress.kubernetes.io/group.order: {{ . | quote }}
{{- end }}
{{- with .certificateArn }}
alb.ingress.kubernetes.io/certificate-arn: {{ . | quote }}
{{- end }}
{{- if .owner }}
alb.ingress.kubernetes.io/scheme: {{ .scheme }}
alb.ingress.kubernetes.io/ssl-redirect: "443"
alb.ingress.kubernetes.io/ssl-policy: {{ .sslPolicy | quote }}
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds={{ .idleTimeoutSeconds }},routing.http.drop_invalid_header_fields.enabled=true
{{- end }}
{{- end -}}
{{- end -}}
{{- end }}
