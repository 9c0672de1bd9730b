{{- /* The group owns what is mounted: keys are read, and the socket is opened, by processes of other users. */}}
{{- define "lamplighter.podSecurityContext" -}}
{{- merge (deepCopy .Values.podSecurityContext) (dict "runAsNonRoot" true "fsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault")) | toYaml }}
{{- end }}

{{- define "lamplighter.spread" -}}
{{- if .Values.topologySpreadConstraints -}}
{{ toYaml .Values.topologySpreadConstraints }}
{{- else -}}
{{- range $i, $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "lamplighter.selectorLabels" $ | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end -}}
{{- end -}}
{{- end }}
