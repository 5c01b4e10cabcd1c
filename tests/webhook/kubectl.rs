//! What `kubectl` says, and objects to give to it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::cluster::{Cluster, eventually};

/// What a command said, on both of its streams, and whether it went well.
#[derive(Debug)]
pub struct Told {
    is_ok: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Told {
    pub fn by(command: &mut Command, input: Option<&[u8]>) -> Self {
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(input) = input {
            // A command that reads no more says why.
            _ = child.stdin.take().unwrap().write_all(input);
        }
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { is_ok: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    pub const fn is_ok(&self) -> bool {
        self.is_ok
    }

    /// It went well: its output.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.is_ok, "{self:?}");
        self.stdout
    }

    /// It went well: the JSON that it wrote.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// It went well, and a warning with this in it was shown.
    #[track_caller]
    pub fn warned(self, text: &str) -> String {
        assert!(self.is_ok, "{self:?}");
        let is_warned = self.stderr.lines().any(|line| line.starts_with("Warning: ") && line.contains(text));
        assert!(is_warned, "no warning of `{text}`: {self:?}");
        self.stdout
    }

    /// It was refused by a webhook, with this in its words.
    #[track_caller]
    pub fn refused(self, text: &str) -> String {
        assert!(!self.is_ok, "was not refused: {self:?}");
        assert!(self.stderr.contains(text), "refused, but not with `{text}`: {self:?}");
        self.stderr
    }
}

/// A namespace of one test.
#[derive(Clone, Copy)]
pub struct Namespace<'a> {
    pub cluster: &'a Cluster,
    pub name: &'a str,
}

impl<'a> Namespace<'a> {
    /// Makes it, and waits for the account that Pods run as.
    pub fn new(cluster: &'a Cluster, name: &'a str) -> Self {
        cluster.kubectl(&["create", "namespace", name]).ok();
        let namespace = Self { cluster, name };
        let account = || namespace.kubectl(&["get", "serviceaccount", "default"]).is_ok().then_some(());
        eventually("the namespace has its service account", account);
        namespace
    }

    pub fn command(&self) -> Command {
        let mut command = self.cluster.command();
        command.args(["-n", self.name]);
        command
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Told {
        Told::by(self.command().args(arguments), None)
    }

    pub fn kubectl_with(&self, arguments: &[&str], object: &Value) -> Told {
        Told::by(self.command().args(arguments), Some(object.to_string().as_bytes()))
    }

    pub fn create(&self, object: &Value) -> Told {
        self.kubectl_with(&["create", "-f", "-"], object)
    }

    pub fn get(&self, kind: &str, name: &str) -> Value {
        self.kubectl(&["get", kind, name, "-o", "json"]).json()
    }

    /// What stands in a field of an object.
    pub fn field(&self, kind: &str, name: &str, pointer: &str) -> Value {
        self.get(kind, name).pointer(pointer).cloned().unwrap_or_default()
    }

    /// The Pods with a label `app`.
    pub fn pods_of(&self, app: &str) -> Vec<Value> {
        let list = self.kubectl(&["get", "pods", "-l", &format!("app={app}"), "-o", "json"]).json();
        list["items"].as_array().cloned().unwrap_or_default()
    }
}

/// A Pod with containers of these images.
pub fn pod(name: &str, images: &[&str]) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec(images)})
}

/// A Deployment of such Pods, which are labelled `app: NAME`.
pub fn deployment(name: &str, replicas: u32, images: &[&str]) -> Value {
    let labels = json!({"app": name});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": spec(images)}}})
}

fn spec(images: &[&str]) -> Value {
    let containers: Vec<Value> =
        images.iter().enumerate().map(|(index, image)| json!({"name": format!("c{index}"), "image": image})).collect();
    json!({"containers": containers, "terminationGracePeriodSeconds": 0})
}
