{{- /*
lamplighter.yaml: what the user wrote, and what follows from the deployment where they wrote nothing.
*/}}
{{- define "lamplighter.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- include "lamplighter.fill" (dict "in" $config "section" "listen" "with" (include "lamplighter.listen" . | fromYaml)) -}}
{{- include "lamplighter.fill" (dict "in" $config "section" "session" "with" (dict "keys_file" "/run/secrets/lamplighter/keys")) -}}
{{- if .Values.existingSecret.keys.clientSecret -}}
{{- include "lamplighter.fill" (dict "in" $config "section" "provider" "with" (dict "client_secret_file" "/run/secrets/lamplighter/client-secret")) -}}
{{- end -}}
{{- if not $config.store -}}
{{- $_ := set $config "store" (dict "bolt" dict) -}}
{{- end -}}
{{- if hasKey $config.store "bolt" -}}
{{- include "lamplighter.fill" (dict "in" $config.store "section" "bolt" "with" (dict "path" "/var/lib/lamplighter/sessions.db")) -}}
{{- else if hasKey $config.store "redis" -}}
{{- include "lamplighter.fill" (dict "in" $config.store "section" "redis" "with" (include "lamplighter.redisFiles" . | fromYaml)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{- /* Sets the keys of a section that are not there. Not sprig's merge: for that, "" and false are not there. */}}
{{- define "lamplighter.fill" -}}
{{- $section := default dict (get .in .section) -}}
{{- range $key, $value := .with -}}
{{- if not (hasKey $section $key) -}}
{{- $_ := set $section $key $value -}}
{{- end -}}
{{- end -}}
{{- $_ := set .in .section $section -}}
{{- end }}

{{- /* The admin listener can end sessions: it stays inside the pod. */}}
{{- define "lamplighter.listen" -}}
{{- if eq .Values.mode "standalone" }}
check: "0.0.0.0:9191"
{{- else if .Values.sidecar.envoy.enabled }}
check: unix:///run/lamplighter/check.sock
{{- else }}
check: "127.0.0.1:9191"
{{- end }}
admin: "127.0.0.1:9192"
metrics: "0.0.0.0:9193"
{{- if .Values.tls.secretName }}
tls:
  cert_file: /run/secrets/lamplighter-tls/tls.crt
  key_file: /run/secrets/lamplighter-tls/tls.key
{{- end }}
{{- end }}

{{- define "lamplighter.redisFiles" -}}
{{- $keys := .Values.existingSecret.keys -}}
{{- if and $keys.redisUsername (not .Values.config.store.redis.username) }}
username_file: /run/secrets/lamplighter/redis-username
{{- end }}
{{- if $keys.redisPassword }}
password_file: /run/secrets/lamplighter/redis-password
{{- end }}
{{- if and $keys.sentinelUsername (not .Values.config.store.redis.sentinel_username) }}
sentinel_username_file: /run/secrets/lamplighter/sentinel-username
{{- end }}
{{- if $keys.sentinelPassword }}
sentinel_password_file: /run/secrets/lamplighter/sentinel-password
{{- end }}
{{- end }}

{{- /* "redis", or why the store is one pod's. */}}
{{- define "lamplighter.store" -}}
{{- if (.Values.config.store).redis }}redis{{ else }}embedded{{ end -}}
{{- end }}

{{- /* The port of host:port; nothing of a unix socket. */}}
{{- define "lamplighter.port" -}}
{{- if not (hasPrefix "unix:" .) }}{{ regexFind "[0-9]+$" . }}{{ end -}}
{{- end }}

{{- /* What lamplighter reads at a start only (pkg/app/reload.go). Everything else is read anew while it runs, and rolls no pod. */}}
{{- define "lamplighter.podAnnotations" -}}
{{- $config := include "lamplighter.config" . | fromYaml -}}
{{- $fixed := list (pick $config "listen" "store" "app" "cache") (pick $config.provider "issuer" "client_id") (pick (default dict $config.sweep) "enabled" "max_in_flight") -}}
checksum/restart: {{ $fixed | toJson | sha256sum }}
{{- end }}
