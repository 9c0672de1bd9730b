{{- /*
What an install cannot do without, and what contradicts itself: all of it at once.
*/}}
{{- define "lamplighter.checks" -}}
{{- $missing := include "lamplighter.missing" . | trim -}}
{{- $refused := include "lamplighter.refused" . | trim -}}
{{- if or $missing $refused -}}
{{- $lines := list -}}
{{- if $missing }}{{ $lines = append $lines (printf "these values are needed:\n%s" $missing) }}{{ end -}}
{{- if $refused }}{{ $lines = append $lines (printf "these values cannot be:\n%s" $refused) }}{{ end -}}
{{- fail (printf "\n\nlamplighter is not installed; %s\n" (join "\n\n" $lines)) -}}
{{- end -}}
{{- end }}

{{- define "lamplighter.missing" -}}
{{- $config := .Values.config }}
{{- if not $config.external_url }}
- config.external_url: the origin browsers see, such as https://app.example.com
{{- end }}
{{- if not ($config.provider).issuer }}
- config.provider.issuer: the issuer, exactly as your provider writes it, such as https://id.example.com
{{- end }}
{{- if not ($config.provider).client_id }}
- config.provider.client_id: the client_id that your provider gave you
{{- end }}
{{- if not .Values.image.repository }}
- image.repository: where your cluster pulls lamplighter from; there is no public image, `make image` builds one
{{- end }}
{{- include "lamplighter.missingSecret" . }}
{{- if and (eq .Values.mode "sidecar") .Values.podMonitor.enabled (not .Values.podMonitor.matchLabels) }}
- podMonitor.matchLabels: the labels of your pods that have the sidecar
{{- end }}
{{- end }}

{{- /* Whoever brings the files another way (extraVolumes) names all of them in config. */}}
{{- define "lamplighter.missingSecret" -}}
{{- $secret := .Values.existingSecret -}}
{{- $keysFile := (.Values.config.session).keys_file -}}
{{- $publicClient := or (not $secret.keys.clientSecret) (hasKey (default dict .Values.config.provider) "client_secret_file") -}}
{{- if and (not $secret.name) (not (and $keysFile $publicClient)) }}
- existingSecret.name: a Secret with the keys that seal sessions{{ if not $publicClient }}, and the client secret (none? set existingSecret.keys.clientSecret to ""){{ end }}. This makes one:
    kubectl create secret generic lamplighter --namespace {{ .Release.Namespace }} \
      --from-literal={{ $secret.keys.sessionKeys }}="k1:$(openssl rand -base64 32)"
      {{- if not $publicClient }} \
      --from-file={{ $secret.keys.clientSecret }}=./client-secret
      {{- end }}
{{- end }}
{{- end }}

{{- define "lamplighter.refused" -}}
{{- $listen := get (include "lamplighter.config" . | fromYaml) "listen" }}
{{- if and (eq (include "lamplighter.store" .) "embedded") (or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled) }}
- {{ if .Values.autoscaling.enabled }}autoscaling.enabled{{ else }}replicas: {{ .Values.replicas }}{{ end }} with the embedded store: its sessions are in one pod's file, another pod does not know them
  and would ask their users to log in again. Set config.store.redis, which all pods share, or keep one replica
{{- end }}
{{- if eq .Values.mode "standalone" }}
{{- if or (hasPrefix "unix:" $listen.check) (hasPrefix "127." $listen.check) (hasPrefix "localhost:" $listen.check) (hasPrefix "[::1]:" $listen.check) }}
- config.listen.check: {{ $listen.check }} with mode: standalone: other pods do not reach it; leave it out
{{- end }}
{{- else }}
{{- range $name := list "autoscaling" "podDisruptionBudget" "networkPolicy" "serviceMonitor" }}
{{- if (get $.Values $name).enabled }}
- {{ $name }}.enabled with mode: sidecar: the pods are yours, and so is what selects them
{{- end }}
{{- end }}
{{- $web := .Values.sidecar.envoy }}
{{- if and $web.enabled (regexMatch "^(127\\.|localhost:|\\[::1\\]:)" $web.listen) }}
- sidecar.envoy.listen: {{ $web.listen }}: nobody outside of the pod reaches it, the kubelet's probes neither
{{- end }}
{{- if .Values.tls.secretName }}
- tls.secretName with mode: sidecar: Checks do not leave the pod
{{- end }}
{{- end }}
{{- if and (not $listen.metrics) (or .Values.serviceMonitor.enabled .Values.podMonitor.enabled) }}
- config.listen.metrics: "" with a monitor: there is nothing to scrape
{{- end }}
{{- end }}
