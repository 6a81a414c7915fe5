//! The resources that checks speak of, in one place so that no check misspells a path.

use harness::api::Resource;

pub(crate) use harness::api::namespace::NAMESPACES;

pub(crate) const CONFIG_MAPS: Resource = Resource::namespaced("v1", "configmaps", "ConfigMap");
