package chart

// Values are what the chart may be given. An object (or list of objects) of
// Kubernetes stays open: Kubernetes judges it.
type Values struct {
	Enabled bool   `yaml:"enabled" jsonschema_description:"For the condition of a chart that depends on this one; the chart itself does not look."`
	Global  object `yaml:"global" jsonschema_description:"Helm's; not used."`

	Mode             string         `yaml:"mode" jsonschema:"enum=standalone,enum=sidecar"`
	Config           lamplighter    `yaml:"config"`
	ExistingSecret   ExistingSecret `yaml:"existingSecret"`
	TLS              TLS            `yaml:"tls"`
	Image            Image          `yaml:"image"`
	ImagePullSecrets []object       `yaml:"imagePullSecrets"`
	Replicas         int            `yaml:"replicas" jsonschema:"minimum=0"`
	Sidecar          Sidecar        `yaml:"sidecar"`
	Resources        object         `yaml:"resources"`
	SessionsVolume   object         `yaml:"sessionsVolume"`

	Service             Service             `yaml:"service"`
	Autoscaling         Autoscaling         `yaml:"autoscaling"`
	PodDisruptionBudget PodDisruptionBudget `yaml:"podDisruptionBudget"`
	NetworkPolicy       NetworkPolicy       `yaml:"networkPolicy"`
	ServiceMonitor      ServiceMonitor      `yaml:"serviceMonitor"`
	PodMonitor          PodMonitor          `yaml:"podMonitor"`
	PrometheusRule      PrometheusRule      `yaml:"prometheusRule"`
	Dashboard           Dashboard           `yaml:"dashboard"`
	ServiceAccount      ServiceAccount      `yaml:"serviceAccount"`

	NameOverride              string            `yaml:"nameOverride"`
	FullnameOverride          string            `yaml:"fullnameOverride"`
	PodAnnotations            map[string]string `yaml:"podAnnotations"`
	PodLabels                 map[string]string `yaml:"podLabels"`
	PodSecurityContext        object            `yaml:"podSecurityContext"`
	SecurityContext           object            `yaml:"securityContext"`
	NodeSelector              map[string]string `yaml:"nodeSelector"`
	Tolerations               []object          `yaml:"tolerations"`
	Affinity                  object            `yaml:"affinity"`
	PriorityClassName         string            `yaml:"priorityClassName"`
	TopologySpreadConstraints []object          `yaml:"topologySpreadConstraints"`
	PreStopSleepSeconds       int               `yaml:"preStopSleepSeconds" jsonschema:"minimum=0,maximum=20"`

	ExtraEnv          []object `yaml:"extraEnv"`
	ExtraVolumes      []object `yaml:"extraVolumes"`
	ExtraVolumeMounts []object `yaml:"extraVolumeMounts"`
	ExtraContainers   []object `yaml:"extraContainers"`
	ExtraObjects      []object `yaml:"extraObjects"`
}

type (
	// object is one that Kubernetes judges.
	object map[string]any
	// lamplighter is the configuration file, see pkg/config.
	lamplighter struct{}
	// address is host:port, as `lamplighter print envoy` takes it.
	address string
	// digest names an image by its content.
	digest string
	// interval is a duration in Prometheus' syntax.
	interval string
	// amount is a number, or a percentage.
	amount string
)

// ExistingSecret names a Secret and the keys in it.
type ExistingSecret struct {
	Name string     `yaml:"name"`
	Keys SecretKeys `yaml:"keys"`
}

// SecretKeys tells which key of the Secret holds what; "" is: none does.
type SecretKeys struct {
	SessionKeys      string `yaml:"sessionKeys" jsonschema:"minLength=1"`
	ClientSecret     string `yaml:"clientSecret"`
	RedisUsername    string `yaml:"redisUsername"`
	RedisPassword    string `yaml:"redisPassword"`
	SentinelUsername string `yaml:"sentinelUsername"`
	SentinelPassword string `yaml:"sentinelPassword"`
}

// TLS names a Secret of type kubernetes.io/tls.
type TLS struct {
	SecretName string `yaml:"secretName"`
}

// Image is what to run.
type Image struct {
	Repository string `yaml:"repository"`
	Tag        string `yaml:"tag"`
	Digest     digest `yaml:"digest"`
	PullPolicy string `yaml:"pullPolicy" jsonschema:"enum=Always,enum=IfNotPresent,enum=Never"`
}

// Sidecar is for mode sidecar.
type Sidecar struct {
	Envoy Envoy `yaml:"envoy"`
}

// Envoy is the one that the chart brings.
type Envoy struct {
	Enabled         bool    `yaml:"enabled"`
	Listen          address `yaml:"listen"`
	App             address `yaml:"app"`
	Image           Image   `yaml:"image"`
	Resources       object  `yaml:"resources"`
	SecurityContext object  `yaml:"securityContext"`
}

// Service is for mode standalone.
type Service struct {
	ClusterIP   string            `yaml:"clusterIP"`
	Annotations map[string]string `yaml:"annotations"`
}

// Autoscaling is a HorizontalPodAutoscaler.
type Autoscaling struct {
	Enabled                        bool   `yaml:"enabled"`
	MinReplicas                    int    `yaml:"minReplicas" jsonschema:"minimum=1"`
	MaxReplicas                    int    `yaml:"maxReplicas" jsonschema:"minimum=1"`
	TargetCPUUtilizationPercentage int    `yaml:"targetCPUUtilizationPercentage" jsonschema:"minimum=1"`
	Behavior                       object `yaml:"behavior"`
}

// PodDisruptionBudget has one of its two bounds.
type PodDisruptionBudget struct {
	Enabled        bool   `yaml:"enabled"`
	MaxUnavailable amount `yaml:"maxUnavailable"`
}

// NetworkPolicy opens what lamplighter needs.
type NetworkPolicy struct {
	Enabled      bool     `yaml:"enabled"`
	From         []object `yaml:"from"`
	MetricsFrom  []object `yaml:"metricsFrom"`
	EgressPorts  []int    `yaml:"egressPorts"`
	ExtraIngress []object `yaml:"extraIngress"`
	ExtraEgress  []object `yaml:"extraEgress"`
}

// ServiceMonitor is the Prometheus operator's.
type ServiceMonitor struct {
	Enabled  bool              `yaml:"enabled"`
	Interval interval          `yaml:"interval"`
	Labels   map[string]string `yaml:"labels"`
}

// PodMonitor is the Prometheus operator's.
type PodMonitor struct {
	Enabled     bool              `yaml:"enabled"`
	Interval    interval          `yaml:"interval"`
	Labels      map[string]string `yaml:"labels"`
	MatchLabels map[string]string `yaml:"matchLabels"`
}

// PrometheusRule holds the alerts.
type PrometheusRule struct {
	Enabled     bool                `yaml:"enabled"`
	Labels      map[string]string   `yaml:"labels"`
	AlertLabels map[string]string   `yaml:"alertLabels"`
	For         map[string]interval `yaml:"for"`
	RunbookURL  string              `yaml:"runbookURL"`
}

// Dashboard is a ConfigMap that Grafana's sidecar looks for.
type Dashboard struct {
	Enabled     bool              `yaml:"enabled"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// ServiceAccount is for mode standalone.
type ServiceAccount struct {
	Create      bool              `yaml:"create"`
	Name        string            `yaml:"name"`
	Annotations map[string]string `yaml:"annotations"`
}
