//! The resources that checks speak of, in one place so that no check misspells a path.

use harness::api::Resource;

pub(crate) use harness::api::namespace::NAMESPACES;

pub(crate) const CONFIG_MAPS: Resource = Resource::namespaced("v1", "configmaps", "ConfigMap");
pub(crate) const CORE_EVENTS: Resource = Resource::namespaced("v1", "events", "Event");
pub(crate) const CRDS: Resource = Resource::cluster(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
);
pub(crate) const CRON_JOBS: Resource = Resource::namespaced("batch/v1", "cronjobs", "CronJob");
pub(crate) const CSI_DRIVERS: Resource =
    Resource::cluster("storage.k8s.io/v1", "csidrivers", "CSIDriver");
pub(crate) const CSI_NODES: Resource =
    Resource::cluster("storage.k8s.io/v1", "csinodes", "CSINode");
pub(crate) const CSRS: Resource = Resource::cluster(
    "certificates.k8s.io/v1",
    "certificatesigningrequests",
    "CertificateSigningRequest",
);
pub(crate) const DEPLOYMENTS: Resource =
    Resource::namespaced("apps/v1", "deployments", "Deployment");
pub(crate) const ENDPOINTS: Resource = Resource::namespaced("v1", "endpoints", "Endpoints");
pub(crate) const ENDPOINT_SLICES: Resource =
    Resource::namespaced("discovery.k8s.io/v1", "endpointslices", "EndpointSlice");
pub(crate) const EVENTS: Resource = Resource::namespaced("events.k8s.io/v1", "events", "Event");
pub(crate) const INGRESSES: Resource =
    Resource::namespaced("networking.k8s.io/v1", "ingresses", "Ingress");
pub(crate) const INGRESS_CLASSES: Resource =
    Resource::cluster("networking.k8s.io/v1", "ingressclasses", "IngressClass");
pub(crate) const JOBS: Resource = Resource::namespaced("batch/v1", "jobs", "Job");
pub(crate) const LEASES: Resource =
    Resource::namespaced("coordination.k8s.io/v1", "leases", "Lease");
pub(crate) const LIMIT_RANGES: Resource = Resource::namespaced("v1", "limitranges", "LimitRange");
pub(crate) const NETWORK_POLICIES: Resource =
    Resource::namespaced("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy");
pub(crate) const PDBS: Resource =
    Resource::namespaced("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget");
pub(crate) const PODS: Resource = Resource::namespaced("v1", "pods", "Pod");
pub(crate) const POD_TEMPLATES: Resource =
    Resource::namespaced("v1", "podtemplates", "PodTemplate");
pub(crate) const PRIORITY_CLASSES: Resource =
    Resource::cluster("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass");
pub(crate) const QUOTAS: Resource = Resource::namespaced("v1", "resourcequotas", "ResourceQuota");
pub(crate) const REPLICA_SETS: Resource =
    Resource::namespaced("apps/v1", "replicasets", "ReplicaSet");
pub(crate) const REPLICATION_CONTROLLERS: Resource =
    Resource::namespaced("v1", "replicationcontrollers", "ReplicationController");
pub(crate) const ROLE_BINDINGS: Resource = Resource::namespaced(
    "rbac.authorization.k8s.io/v1",
    "rolebindings",
    "RoleBinding",
);
pub(crate) const ROLES: Resource =
    Resource::namespaced("rbac.authorization.k8s.io/v1", "roles", "Role");
pub(crate) const RUNTIME_CLASSES: Resource =
    Resource::cluster("node.k8s.io/v1", "runtimeclasses", "RuntimeClass");
pub(crate) const SECRETS: Resource = Resource::namespaced("v1", "secrets", "Secret");
pub(crate) const SERVICES: Resource = Resource::namespaced("v1", "services", "Service");
pub(crate) const SERVICE_ACCOUNTS: Resource =
    Resource::namespaced("v1", "serviceaccounts", "ServiceAccount");
pub(crate) const STATEFUL_SETS: Resource =
    Resource::namespaced("apps/v1", "statefulsets", "StatefulSet");
pub(crate) const STORAGE_CLASSES: Resource =
    Resource::cluster("storage.k8s.io/v1", "storageclasses", "StorageClass");
pub(crate) const VOLUME_ATTACHMENTS: Resource =
    Resource::cluster("storage.k8s.io/v1", "volumeattachments", "VolumeAttachment");

// Of these the newest servers alone have some.
pub(crate) const CLUSTER_TRUST_BUNDLES: Resource = Resource::cluster(
    "certificates.k8s.io/v1",
    "clustertrustbundles",
    "ClusterTrustBundle",
);
pub(crate) const CSI_STORAGE_CAPACITIES: Resource = Resource::namespaced(
    "storage.k8s.io/v1",
    "csistoragecapacities",
    "CSIStorageCapacity",
);
pub(crate) const DEVICE_CLASSES: Resource =
    Resource::cluster("resource.k8s.io/v1", "deviceclasses", "DeviceClass");
pub(crate) const DEVICE_TAINT_RULES: Resource =
    Resource::cluster("resource.k8s.io/v1", "devicetaintrules", "DeviceTaintRule");
pub(crate) const FLOW_SCHEMAS: Resource = Resource::cluster(
    "flowcontrol.apiserver.k8s.io/v1",
    "flowschemas",
    "FlowSchema",
);
pub(crate) const IP_ADDRESSES: Resource =
    Resource::cluster("networking.k8s.io/v1", "ipaddresses", "IPAddress");
pub(crate) const NODES: Resource = Resource::cluster("v1", "nodes", "Node");
pub(crate) const POD_CERTIFICATE_REQUESTS: Resource = Resource::namespaced(
    "certificates.k8s.io/v1",
    "podcertificaterequests",
    "PodCertificateRequest",
);
pub(crate) const PRIORITY_LEVELS: Resource = Resource::cluster(
    "flowcontrol.apiserver.k8s.io/v1",
    "prioritylevelconfigurations",
    "PriorityLevelConfiguration",
);
pub(crate) const RESOURCE_CLAIMS: Resource =
    Resource::namespaced("resource.k8s.io/v1", "resourceclaims", "ResourceClaim");
pub(crate) const RESOURCE_CLAIM_TEMPLATES: Resource = Resource::namespaced(
    "resource.k8s.io/v1",
    "resourceclaimtemplates",
    "ResourceClaimTemplate",
);
pub(crate) const RESOURCE_SLICES: Resource =
    Resource::cluster("resource.k8s.io/v1", "resourceslices", "ResourceSlice");
pub(crate) const SERVICE_CIDRS: Resource =
    Resource::cluster("networking.k8s.io/v1", "servicecidrs", "ServiceCIDR");
pub(crate) const STORAGE_VERSION_MIGRATIONS: Resource = Resource::cluster(
    "storagemigration.k8s.io/v1",
    "storageversionmigrations",
    "StorageVersionMigration",
);
pub(crate) const VOLUMES: Resource =
    Resource::cluster("v1", "persistentvolumes", "PersistentVolume");
pub(crate) const VOLUME_ATTRIBUTES_CLASSES: Resource = Resource::cluster(
    "storage.k8s.io/v1",
    "volumeattributesclasses",
    "VolumeAttributesClass",
);
pub(crate) const VOLUME_CLAIMS: Resource =
    Resource::namespaced("v1", "persistentvolumeclaims", "PersistentVolumeClaim");
pub(crate) const CONTROLLER_REVISIONS: Resource =
    Resource::namespaced("apps/v1", "controllerrevisions", "ControllerRevision");
pub(crate) const DAEMON_SETS: Resource = Resource::namespaced("apps/v1", "daemonsets", "DaemonSet");
