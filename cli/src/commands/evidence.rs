//! `portcullis evidence …`: what lies beside an image: listed, fetched, and cleared of what is outdated.

use std::{fmt::Write as _, fs, path::Path};

use portcullis_admission::verifier_of;
use portcullis_attest::{
    Candidate, Discovery, Format, Statement, Verified, Verifier, discover, discover_in_layout, outdated, remove,
};
use portcullis_errors::{chain, printable};
use portcullis_image::Source;
use portcullis_model::{Digest, Timestamp};
use portcullis_policy::ExitStatus;
use portcullis_registry::Reference;

use super::verify::authority_policy;
use crate::{
    args::{AuthorityArgs, EvidenceCommand, EvidenceListArgs, Global},
    diagnostics::{Context as _, Failure, Outcome, say},
    output, settings,
    settings::Access,
    signing,
};

pub(crate) fn run(command: &EvidenceCommand, global: &Global) -> Outcome {
    match command {
        EvidenceCommand::List(list) => {
            let found = Found::new(list)?;
            output::print(&found.as_text())?;
            found.status()
        }
        EvidenceCommand::Download { output_dir, list } => {
            let found = Found::new(list)?;
            found.write_to(output_dir, global)?;
            found.status()
        }
        EvidenceCommand::Prune { keep, dry_run, list } => prune(usize::from(*keep), *dry_run, list, global),
    }
}

/// What lies beside an image.
struct Found {
    access: Access,
    source: Source,
    digest: Digest,
    discovery: Discovery,
    verifier: Option<Verifier>,
    now: Timestamp,
}

impl Found {
    fn new(args: &EvidenceListArgs) -> Result<Self, Failure> {
        let EvidenceListArgs { image, authority, source } = args;
        let now = settings::clock();
        let verifier = verifier(authority, now)?;
        let parsed = Source::parse(image)?;
        let (access, digest, discovery) = match &parsed {
            Source::Registry(reference) => {
                let access = Access::new(source)?;
                let (client, runtime) = access.registry()?;
                let found = runtime.block_on(async {
                    // The digest that the name means, computed from the bytes.
                    let digest = client.manifest(reference).await?.digest;
                    Ok::<_, Failure>((digest, discover(client, reference, &digest, &[]).await))
                });
                let (digest, discovery) = found?;
                (access, digest, discovery)
            }
            Source::OciDirectory { path, .. } => {
                let (access, _, opened) = Access::open(image, source)?;
                let digest = opened.target.digest.ok_or_else(|| Failure::new("the image has no manifest"))?;
                let discovery = discover_in_layout(path, &digest, &[])?;
                (access, digest, discovery)
            }
            _ => {
                return Err(Failure::new("evidence lies in registries and OCI layouts alone")
                    .with_hint("name the image in its registry, or an oci-dir:"));
            }
        };
        Ok(Self { access, source: parsed, digest, discovery, verifier, now })
    }

    /// What could not be read may be anything: then the list is incomplete.
    fn status(&self) -> Outcome {
        for problem in &self.discovery.problems {
            say(&format!("gap: {}: {}", problem.what, printable(&chain(&problem.error), 300)));
        }
        Ok(if self.discovery.is_complete() { ExitStatus::Pass } else { ExitStatus::Incomplete })
    }

    fn verified(&self, candidate: &Candidate) -> Option<Result<Verified<Statement>, String>> {
        let verifier = self.verifier.as_ref()?;
        Some(verifier.verify(candidate, &self.digest, self.now).map_err(|refusal| refusal.to_string()))
    }

    fn as_text(&self) -> String {
        let mut text = format!("{}\n", self.digest);
        for candidate in &self.discovery.candidates {
            let claimed = candidate.claimed_type.as_deref().unwrap_or("of a type that is not told");
            let form = match candidate.format {
                Format::Bundle => "bundle",
                Format::Envelope => "envelope",
            };
            // Writing to a String cannot fail.
            _ = writeln!(text, "  {}", printable(claimed, 200));
            _ = writeln!(text, "    {form} in {}, {} bytes", candidate.manifest, candidate.bytes.len());
            match self.verified(candidate) {
                None => {}
                Some(Ok(statement)) => {
                    let time = statement.signed_at().map_or_else(String::new, |time| format!(", signed at {time}"));
                    _ = writeln!(text, "    verified: {}{time}", printable(statement.authority(), 200));
                }
                Some(Err(refusal)) => _ = writeln!(text, "    proves nothing: {}", printable(&refusal, 300)),
            }
        }
        if self.discovery.candidates.is_empty() {
            text.push_str("  nothing is attested\n");
        }
        text
    }

    /// One file for each piece, by the digest of its content: what names mean is decided by no one else.
    fn write_to(&self, folder: &Path, global: &Global) -> Result<(), Failure> {
        fs::create_dir_all(folder).context(|| format!("cannot make {}", folder.display()))?;
        for candidate in &self.discovery.candidates {
            let ending = match candidate.format {
                Format::Bundle => "sigstore.json",
                Format::Envelope => "dsse.json",
            };
            let path = folder.join(format!("{}.{ending}", Digest::of(&candidate.bytes).hex()));
            fs::write(&path, &candidate.bytes).context(|| format!("cannot write {}", path.display()))?;
            if !global.quiet {
                let claimed = candidate.claimed_type.as_deref().unwrap_or("of a type that is not told");
                say(&format!("{}: {}", path.display(), printable(claimed, 200)));
            }
        }
        Ok(())
    }
}

/// Who vouches, by the flags; none where nobody is named.
pub(super) fn verifier(authority: &AuthorityArgs, now: Timestamp) -> Result<Option<Verifier>, Failure> {
    let AuthorityArgs { key, certificate_identity, trusted_root, .. } = authority;
    if key.is_none() && certificate_identity.is_none() {
        return Ok(None);
    }
    let root = trusted_root.as_deref().map(|path| signing::trust_root(Some(path))).transpose()?;
    let policies = authority_policy(authority, None, now)?;
    let policy = policies.first().ok_or_else(|| Failure::new("there is no policy"))?;
    Ok(verifier_of(policy, root.as_ref())?)
}

fn prune(keep: usize, dry_run: bool, args: &EvidenceListArgs, global: &Global) -> Outcome {
    let found = Found::new(args)?;
    let Some(verifier) = &found.verifier else {
        return Err(Failure::usage("say whose evidence is to go")
            .with_hint("--key, or --certificate-identity with --certificate-oidc-issuer: others' evidence stays"));
    };
    let Source::Registry(reference) = &found.source else {
        return Err(Failure::new("evidence is removed from registries alone"));
    };
    // What could not be read may rest on what would be removed.
    if !found.discovery.is_complete() {
        return found.status();
    }
    let gone = outdated(&found.discovery.candidates, verifier, &found.digest, found.now, keep);
    if !global.quiet {
        let verb = if dry_run { "would remove" } else { "removing" };
        gone.iter().for_each(|manifest| say(&format!("{verb} {manifest}")));
    }
    if !dry_run {
        delete(&found, reference, &gone)?;
    }
    output::print(&format!("{} {}\n", gone.len(), if dry_run { "would go" } else { "removed" }))?;
    Ok(ExitStatus::Pass)
}

fn delete(found: &Found, reference: &Reference, gone: &[Digest]) -> Result<(), Failure> {
    let (client, runtime) = found.access.registry()?;
    runtime.block_on(remove(client, reference, &found.digest, gone))?;
    Ok(())
}
