{{- /* The container of both modes: the standalone one and the native sidecar differ by two lines. */}}
{{- define "lamplighter.container" -}}
{{- $config := include "lamplighter.config" . | fromYaml -}}
name: lamplighter
image: {{ include "lamplighter.image" (dict "image" .Values.image "tag" .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if eq .Values.mode "sidecar" }}
restartPolicy: Always
{{- end }}
args: [serve, --config, /etc/lamplighter/lamplighter.yaml]
{{- with .Values.extraEnv }}
env:
{{- toYaml . | nindent 0 }}
{{- end }}
ports:
{{- if eq .Values.mode "standalone" }}
- {name: grpc, containerPort: {{ include "lamplighter.port" $config.listen.check }}}
{{- end }}
{{- with $config.listen.metrics }}
- {name: {{ include "lamplighter.metricsPortName" $ }}, containerPort: {{ include "lamplighter.port" . }}}
{{- end }}
startupProbe: # as liveness: a provider that is down when lamplighter starts is no reason to kill it
  {{- include "lamplighter.health" (list $config.listen "--live") | nindent 2 }}
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: 60
livenessProbe:
  {{- include "lamplighter.health" (list $config.listen "--live") | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  {{- include "lamplighter.health" (list $config.listen) | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- if and (eq .Values.mode "standalone") (eq (include "lamplighter.store" .) "redis") .Values.preStopSleepSeconds }}
lifecycle:
  preStop:
    sleep: {seconds: {{ .Values.preStopSleepSeconds }}}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
{{- include "lamplighter.mounts" . | nindent 0 }}
{{- end }}

{{- define "lamplighter.metricsPortName" -}}
{{ if eq .Values.mode "sidecar" }}lamp-metrics{{ else }}metrics{{ end }}
{{- end }}

{{- /*
The binary speaks the gRPC health protocol to its own listener, a socket too, which the kubelet cannot. It reads no
config: a bad one, which lamplighter keeps out, must not have it killed.
*/}}
{{- define "lamplighter.health" -}}
{{- $listen := first . -}}
{{- $command := list "/ko-app/lamplighter" "health" "--check" $listen.check -}}
{{- if $listen.tls }}{{ $command = append $command "--tls" }}{{ end -}}
exec:
  command: {{ concat $command (rest .) | toJson }}
{{- end }}
