{{- /*
envoy.yaml: the template of `lamplighter print envoy` (a copy, held equal by a test), with the values that
pkg/manifest gives it.
*/}}
{{- define "lamplighter.envoy" -}}
{{- $config := include "lamplighter.config" . | fromYaml -}}
{{- $check := dict "Path" (trimPrefix "unix://" $config.listen.check) "Discovery" "STATIC" -}}
{{- if not (hasPrefix "unix://" $config.listen.check) -}}
{{- $check = include "lamplighter.hostPort" $config.listen.check | fromYaml -}}
{{- $_ := set $check "Host" (get (dict "0.0.0.0" "127.0.0.1" "::" "::1") $check.Host | default $check.Host) -}}
{{- end -}}
{{- $timeout := include "lamplighter.timeout" $config -}}
{{- tpl (.Files.Get "files/envoy.yaml.tmpl") (dict
  "Listen" (include "lamplighter.hostPort" .Values.sidecar.envoy.listen | fromYaml)
  "App" (include "lamplighter.hostPort" .Values.sidecar.envoy.app | fromYaml)
  "Check" $check
  "Identity" (include "lamplighter.identity" (default dict $config.headers) | fromYamlArray)
  "PathPrefix" (default "/auth/" $config.path_prefix)
  "Timeout" (include "lamplighter.seconds" (list $timeout))
  "MaxInterval" (include "lamplighter.seconds" (list $timeout $timeout))
) -}}
{{- end }}

{{- define "lamplighter.hostPort" -}}
{{- $port := include "lamplighter.port" . -}}
{{- $host := trimSuffix (printf ":%s" $port) . | trimPrefix "[" | trimSuffix "]" | default "0.0.0.0" -}}
Host: {{ $host | quote }}
Port: {{ $port }}
Path: ""
Discovery: {{ if or (contains ":" $host) (regexMatch "^([0-9]{1,3}\\.){3}[0-9]{1,3}$" $host) }}STATIC{{ else }}STRICT_DNS{{ end }}
{{- end }}

{{- define "lamplighter.identity" -}}
{{- $claims := default dict .claims -}}
{{- $names := list .user_id .email .name .auth_time .session_id -}}
{{- range $claim := keys $claims | sortAlpha -}}
{{- $names = append $names (get $claims $claim) -}}
{{- end -}}
{{- range compact $names }}
- {{ lower . | quote }}
{{- end }}
{{- end }}

{{- /* How long a Check may take: two seconds more than its wait for a refresh, and at least five. */}}
{{- define "lamplighter.timeout" -}}
{{- $wait := default "3s" (.refresh).max_wait -}}
{{- if lt (include "lamplighter.seconds" (list $wait) | trimSuffix "s" | float64) 3.0 -}}
5s
{{- else -}}
2s{{ trimPrefix "+" $wait }}
{{- end -}}
{{- end }}

{{- /* The sum of durations in seconds, such as 8.5s: dates are what templates can add durations to. */}}
{{- define "lamplighter.seconds" -}}
{{- $start := toDate "2006-01-02" "2000-01-01" -}}
{{- $end := $start -}}
{{- range . -}}
{{- $end = mustDateModify (trimPrefix "+" .) $end -}}
{{- end -}}
{{ sub (unixEpoch $end) (unixEpoch $start) }}{{ date ".999999999" $end }}s
{{- end }}
