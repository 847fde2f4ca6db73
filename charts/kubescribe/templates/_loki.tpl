{{/* The way to Loki: the same settings, options and files for whoever goes it. All empty without loki.url. */}}

{{/* As JSON: what stands in a file of settings. */}}
{{- define "kubescribe.loki.settings" -}}
{{- $own := dict -}}
{{- with .Values.loki -}}
{{- if .url -}}
{{- $_ := set $own "url" .url -}}
{{- if .tenant -}}{{- $_ := set $own "tenant" .tenant -}}{{- end -}}
{{- if .username -}}{{- $_ := set $own "username" .username -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $own -}}
{{- end }}

{{- define "kubescribe.loki.hasFiles" -}}
{{- with .Values.loki -}}{{- if or .passwordSecret .bearerTokenSecret .caSecret -}}true{{- end -}}{{- end -}}
{{- end }}

{{- define "kubescribe.loki.options" -}}
{{- with .Values.loki -}}
{{- if .passwordSecret }}
- --loki-password-file=/etc/kubescribe-loki/password
{{- end }}
{{- if .bearerTokenSecret }}
- --loki-bearer-token-file=/etc/kubescribe-loki/bearer-token
{{- end }}
{{- if .caSecret }}
- --loki-ca-file=/etc/kubescribe-loki/ca.crt
{{- end }}
{{- end }}
{{- end }}

{{- define "kubescribe.loki.volume" -}}
name: loki
projected:
  defaultMode: 0440
  sources:
    {{- with .Values.loki.passwordSecret }}
    - secret: {name: {{ . }}, items: [{key: password, path: password}]}
    {{- end }}
    {{- with .Values.loki.bearerTokenSecret }}
    - secret: {name: {{ . }}, items: [{key: token, path: bearer-token}]}
    {{- end }}
    {{- with .Values.loki.caSecret }}
    - secret: {name: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
    {{- end }}
{{- end }}

{{/* The port that loki.url names, and those of Loki's pods behind it: a policy sees the latter. As JSON. */}}
{{- define "kubescribe.loki.ports" -}}
{{- $url := urlParse .Values.loki.url -}}
{{- $named := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $port := int (default (ternary "443" "80" (eq $url.scheme "https")) $named) -}}
{{- $ports := list $port -}}
{{- range .Values.networkPolicy.lokiPorts -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- toJson (uniq $ports) -}}
{{- end }}
