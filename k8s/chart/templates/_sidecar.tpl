{{- /*
For the pods of your own chart, which has this one as a dependency; the context is .Subcharts.lamplighter:

    spec:
      securityContext: {{- include "lamplighter.sidecar.podSecurityContext" .Subcharts.lamplighter | nindent 8 }}
      initContainers: {{- include "lamplighter.sidecar.initContainers" .Subcharts.lamplighter | nindent 6 }}
      volumes: {{- include "lamplighter.sidecar.volumes" .Subcharts.lamplighter | nindent 6 }}

Native sidecars start in this order, before your containers, and stop after them in the opposite one.
*/}}
{{- define "lamplighter.sidecar.initContainers" -}}
- {{- include "lamplighter.container" . | nindent 2 }}
{{- if .Values.sidecar.envoy.enabled }}
- {{- include "lamplighter.envoyContainer" . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "lamplighter.sidecar.volumes" -}}
{{- include "lamplighter.volumes" . }}
{{- if .Values.sidecar.envoy.enabled }}
- name: envoy-config
  configMap:
    name: {{ include "lamplighter.fullname" . }}
    items:
    - {key: envoy.yaml, path: envoy.yaml}
{{- end }}
{{- end }}

{{- /* Any group does, as long as the pod has one: it owns the folder of the socket, and Envoy is in it too. */}}
{{- define "lamplighter.sidecar.podSecurityContext" -}}
{{ pick .Values.podSecurityContext "fsGroup" | toYaml }}
{{- end }}

{{- /* Optional: rolls your pods when something changes that lamplighter reads only when it starts. */}}
{{- define "lamplighter.sidecar.podAnnotations" -}}
{{- include "lamplighter.podAnnotations" . }}
{{- end }}

{{- define "lamplighter.envoyContainer" -}}
{{- $envoy := .Values.sidecar.envoy -}}
name: envoy
image: {{ include "lamplighter.image" (dict "image" $envoy.image) | quote }}
imagePullPolicy: {{ $envoy.image.pullPolicy }}
restartPolicy: Always
command: [/usr/local/bin/envoy]
args: [--config-path, /etc/envoy/envoy.yaml, --disable-hot-restart]
ports: # a Service finds a port of the app's container first, if that has the same name
- {name: lamp-web, containerPort: {{ include "lamplighter.port" $envoy.listen }}}
startupProbe:
  tcpSocket: {port: lamp-web}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  tcpSocket: {port: lamp-web}
  periodSeconds: 5
resources:
  {{- toYaml $envoy.resources | nindent 2 }}
securityContext:
  {{- toYaml $envoy.securityContext | nindent 2 }}
volumeMounts:
- {name: envoy-config, mountPath: /etc/envoy, readOnly: true}
{{- if include "lamplighter.socket" . }}
- {name: lamplighter-run, mountPath: /run/lamplighter, readOnly: true}
{{- end }}
{{- end }}
