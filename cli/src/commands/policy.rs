//! `portcullis policy …`: policies are checked before they decide anything.

mod backtest;
mod test;

use portcullis_policy::ExitStatus;

use crate::{args::PolicyCommand, diagnostics::Outcome, output, settings};

/// The committed schema of policy files.
const SCHEMA: &str = include_str!("../../../docs/schema/policy-v1alpha1.json");

/// The committed custom resource definitions.
const DEFINITIONS: &str = include_str!("../../../webhook/manifests/crds.yaml");

pub(crate) fn run(command: &PolicyCommand) -> Outcome {
    match command {
        PolicyCommand::Check { files } => {
            let now = settings::now()?;
            for file in files {
                for policy in settings::policies(file, now)? {
                    output::print(&format!(
                        "{}: {} {} is good ({})\n",
                        file.display(),
                        policy.kind.as_str(),
                        policy.name,
                        policy.digest()
                    ))?;
                }
            }
        }
        PolicyCommand::Test { files, cases } => return test::run(files, cases.as_deref()),
        PolicyCommand::Backtest { policy, reports, as_of_now } => return backtest::run(policy, reports, *as_of_now),
        PolicyCommand::Schema { crd: false } => output::print(SCHEMA)?,
        PolicyCommand::Schema { crd: true } => output::print(DEFINITIONS)?,
    }
    Ok(ExitStatus::Pass)
}
