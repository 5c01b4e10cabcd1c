//! What containerd holds, as whoever watches it sees it. Its images are names alone: those that mean the same digest are
//! one image here, which has them as its tags.
//!
//! API: <https://github.com/containerd/containerd/blob/v2.0.0/api/services/images/v1/images.proto> and
//! `events/v1/events.proto`.

use std::{collections::BTreeMap, time::Duration};

use prost::Message;

use super::{DescriptorMessage, ENGINE, ImageMessage, call, connect, get, headers, is_digest, list, of_digest};
use crate::{
    ImageError,
    engine::{
        address,
        http::Engine,
        images::{EngineImage, Untagged},
        known_as,
    },
};

/// The namespace that is watched where none is named: that of `ctr` and nerdctl.
const NAMESPACE: &str = "default";

#[derive(Clone, PartialEq, Message)]
struct DeleteImageRequest {
    #[prost(string, tag = "1")]
    name: String,
    /// A name that means something else by now is left, by containerd 1.7.21 and newer.
    #[prost(message, optional, tag = "3")]
    target: Option<DescriptorMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct DeleteImageResponse {}

#[derive(Clone, PartialEq, Message)]
struct SubscribeRequest {
    #[prost(string, repeated, tag = "1")]
    filters: Vec<String>,
}

/// The images of one namespace.
pub(crate) struct Images {
    engine: Engine,
    namespace: String,
}

impl Images {
    /// Finds containerd; it is not asked yet. The namespace is that of `CONTAINERD_NAMESPACE`.
    pub(crate) fn find() -> Result<Self, ImageError> {
        let namespace = address::variable("CONTAINERD_NAMESPACE").unwrap_or_else(|| NAMESPACE.to_owned());
        Ok(Self { engine: connect()?, namespace })
    }

    /// What a scan calls an image of this namespace.
    pub(crate) fn target(&self, name: &str) -> String {
        format!("{ENGINE}:{name}@{}", self.namespace)
    }

    pub(crate) fn list(&self) -> Result<Vec<EngineImage>, ImageError> {
        self.listed(None)
    }

    pub(crate) fn inspect(&self, name: &str) -> Result<Option<EngineImage>, ImageError> {
        let mut id = is_digest(name).then(|| name.to_owned());
        if id.is_none() {
            for name in known_as(name) {
                if let Some(found) = get(&self.engine, &self.namespace, &name)? {
                    id = Some(found.digest.to_string());
                    break;
                }
            }
        }
        let Some(id) = id else { return Ok(None) };
        Ok(self.listed(Some(of_digest(&id)))?.into_iter().next())
    }

    /// Removes a name of the image with this digest. Its content stays as long as it has another.
    pub(crate) fn remove(&self, id: &str, name: &str) -> Result<Untagged, ImageError> {
        let target = DescriptorMessage { digest: id.to_owned(), ..DescriptorMessage::default() };
        let request = DeleteImageRequest { name: name.to_owned(), target: Some(target) };
        let path = "/containerd.services.images.v1.Images/Delete";
        let answer = call::<DeleteImageResponse>(&self.engine, &self.namespace, path, &request)?;
        Ok(if answer.is_some() { Untagged::Removed } else { Untagged::Absent })
    }

    pub(crate) fn watch(&self, tick: Duration, changed: &mut dyn FnMut() -> bool) -> Result<(), ImageError> {
        let request = SubscribeRequest { filters: vec![format!("namespace=={},topic~=\"^/images/\"", self.namespace)] };
        let path = "/containerd.services.events.v1.Events/Subscribe";
        self.engine.subscribe(path, headers(&self.namespace)?, &request.encode_to_vec(), tick, changed)
    }

    fn listed(&self, filter: Option<String>) -> Result<Vec<EngineImage>, ImageError> {
        let mut by_digest: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for ImageMessage { name, target } in list(&self.engine, &self.namespace, filter)? {
            let Some(target) = target.filter(|target| is_digest(&target.digest)) else { continue };
            let tags = by_digest.entry(target.digest).or_default();
            // The kubelet's engine calls an image by its digests, too.
            if !name.contains('@') && !is_digest(&name) {
                tags.push(name);
            }
        }
        Ok(by_digest.into_iter().map(|(id, tags)| EngineImage { id, tags }).collect())
    }
}
