//! `portcullis policy …`: policies are checked before they decide anything.

mod backtest;
mod test;

use std::path::Path;

use portcullis_errors::printable;
use portcullis_policy::{Exemption, ExitStatus, Policy};

use crate::{
    args::{Global, PolicyCommand},
    diagnostics::{Failure, Outcome, say},
    output, settings,
};

/// The committed schema of policy files.
const SCHEMA: &str = include_str!("../../../docs/schema/policy-v1alpha1.json");

/// The committed custom resource definitions.
const DEFINITIONS: &str = include_str!("../../../webhook/manifests/crds.yaml");

pub(crate) fn run(command: &PolicyCommand, global: &Global) -> Outcome {
    match command {
        PolicyCommand::Check { files } => {
            files.iter().try_for_each(|file| check(file, global))?;
        }
        PolicyCommand::Test { files, cases } => return test::run(files, cases.as_deref()),
        PolicyCommand::Backtest { policy, reports, as_of_now } => return backtest::run(policy, reports, *as_of_now),
        PolicyCommand::Schema { crd: false } => output::print(SCHEMA)?,
        PolicyCommand::Schema { crd: true } => output::print(DEFINITIONS)?,
    }
    Ok(ExitStatus::Pass)
}

/// Checks the policies or exemptions of a file; `-` is standard input.
fn check(file: &Path, global: &Global) -> Result<(), Failure> {
    let (now, name) = (settings::now()?, file.display().to_string());
    let text = if file == Path::new("-") { settings::read_text(file)? } else { settings::policy_text(file)? };
    if Exemption::is_in(&text) {
        for exemption in Exemption::parse(&text, &name, now)? {
            let (exemption, expires) = (printable(&exemption.name, 300), exemption.spec.expires);
            output::print(&format!("{name}: PolicyExemption {exemption} is good (until {expires})\n"))?;
        }
        return Ok(());
    }
    for policy in Policy::parse(&text, &name, now)? {
        let kind = policy.kind.as_str();
        output::print(&format!("{name}: {kind} {} is good ({})\n", policy.name, policy.digest()))?;
        for remark in policy.remarks().iter().filter(|_| !global.quiet) {
            say(&format!("warning: {name}: {kind} {}: {}", printable(&policy.name, 300), remark.line()));
        }
    }
    Ok(())
}
