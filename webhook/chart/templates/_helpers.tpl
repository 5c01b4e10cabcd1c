{{/* The name of every object. */}}
{{- define "portcullis-webhook.name" -}}
{{- .Values.nameOverride | default "portcullis-webhook" -}}
{{- end }}

{{/* Labels that the Deployment selects by: they never change. */}}
{{- define "portcullis-webhook.selector" -}}
app.kubernetes.io/name: {{ include "portcullis-webhook.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "portcullis-webhook.labels" -}}
{{ include "portcullis-webhook.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Where the Service answers, as certificates name it. */}}
{{- define "portcullis-webhook.host" -}}
{{ include "portcullis-webhook.name" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "portcullis-webhook.tls-secret" -}}
{{- if eq .Values.tls.source "secret" -}}
{{ .Values.tls.secretName }}
{{- else -}}
{{ include "portcullis-webhook.name" . }}-tls
{{- end -}}
{{- end }}

{{/* Whether the webhook asks anything of the API server: not empty then. */}}
{{- define "portcullis-webhook.asks" -}}
{{- with .Values -}}
{{- if or .policiesFromCluster .pullSecrets.enabled .events .recheck (eq .tls.source "self") -}}yes{{- end -}}
{{- end -}}
{{- end }}

{{/* How the API server reaches one path of the webhook. Takes a list: the root, the path, the authority in base64. */}}
{{- define "portcullis-webhook.client" -}}
{{- $root := index . 0 -}}
service:
  name: {{ include "portcullis-webhook.name" $root }}
  namespace: {{ $root.Release.Namespace }}
  path: {{ index . 1 }}
  port: 443
{{- with index . 2 }}
caBundle: {{ . }}
{{- end }}
{{- end }}

{{/* What all webhooks have in common. */}}
{{- define "portcullis-webhook.common" -}}
admissionReviewVersions: [v1]
matchPolicy: Equivalent
sideEffects: {{ ternary "NoneOnDryRun" "None" .Values.events }}
timeoutSeconds: {{ .Values.webhooks.timeoutSeconds }}
namespaceSelector:
  matchExpressions:
    # Not a label that tenants can set: the API server keeps this one.
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{ append .Values.webhooks.excludedNamespaces .Release.Namespace | uniq | toJson }}
{{- end }}

{{/* Everything through which an image gets into a Pod. */}}
{{- define "portcullis-webhook.pods" -}}
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [pods, pods/ephemeralcontainers]
  scope: Namespaced
{{- end }}
