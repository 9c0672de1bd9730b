{{- /* Folders, never single files by subPath: a file mounted so does not follow its ConfigMap or Secret. */}}
{{- define "lamplighter.mounts" -}}
- {name: lamplighter-config, mountPath: /etc/lamplighter, readOnly: true}
{{- if .Values.existingSecret.name }}
- {name: lamplighter-secrets, mountPath: /run/secrets/lamplighter, readOnly: true}
{{- end }}
{{- if .Values.tls.secretName }}
- {name: lamplighter-tls, mountPath: /run/secrets/lamplighter-tls, readOnly: true}
{{- end }}
{{- if include "lamplighter.ownFile" . }}
- {name: lamplighter-sessions, mountPath: /var/lib/lamplighter}
{{- end }}
{{- if include "lamplighter.socket" . }}
- {name: lamplighter-run, mountPath: /run/lamplighter}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "lamplighter.volumes" -}}
- name: lamplighter-config
  configMap:
    name: {{ include "lamplighter.fullname" . }}
    items:
    - {key: lamplighter.yaml, path: lamplighter.yaml}
{{- if .Values.existingSecret.name }}
- name: lamplighter-secrets
  secret:
    secretName: {{ .Values.existingSecret.name }}
    defaultMode: 0440
    items:
    {{- include "lamplighter.secretItems" . | nindent 4 }}
{{- end }}
{{- with .Values.tls.secretName }}
- name: lamplighter-tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- if include "lamplighter.ownFile" . }}
- name: lamplighter-sessions
  {{- default (dict "emptyDir" dict) .Values.sessionsVolume | toYaml | nindent 2 }}
{{- end }}
{{- if include "lamplighter.socket" . }}
- name: lamplighter-run
  emptyDir: {}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "lamplighter.secretItems" -}}
{{- $keys := .Values.existingSecret.keys -}}
- {key: {{ $keys.sessionKeys | quote }}, path: keys}
{{- with $keys.clientSecret }}
- {key: {{ . | quote }}, path: client-secret}
{{- end }}
{{- if eq (include "lamplighter.store" .) "redis" }}
{{- with $keys.redisUsername }}
- {key: {{ . | quote }}, path: redis-username}
{{- end }}
{{- with $keys.redisPassword }}
- {key: {{ . | quote }}, path: redis-password}
{{- end }}
{{- with $keys.sentinelUsername }}
- {key: {{ . | quote }}, path: sentinel-username}
{{- end }}
{{- with $keys.sentinelPassword }}
- {key: {{ . | quote }}, path: sentinel-password}
{{- end }}
{{- end }}
{{- end }}

{{- /* Whether the store is a file in the folder that the chart mounts. */}}
{{- define "lamplighter.ownFile" -}}
{{- $store := get (include "lamplighter.config" . | fromYaml) "store" -}}
{{- if hasPrefix "/var/lib/lamplighter/" (default "" ($store.bolt).path) }}true{{ end -}}
{{- end }}

{{- /* Whether Checks come over a socket in the folder that the chart mounts. */}}
{{- define "lamplighter.socket" -}}
{{- $listen := get (include "lamplighter.config" . | fromYaml) "listen" -}}
{{- if hasPrefix "unix:///run/lamplighter/" $listen.check }}true{{ end -}}
{{- end }}
