//! Which pipeline a program runs in, and what it says of the run: where to read its log, which commit, which branch.
//!
//! Each system's variables are those of its own documentation, linked beside it. Pure: the environment is an argument.

use portcullis_report::PipelineRun;

use crate::Variables;

/// A pipeline system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct System {
    /// Its name, for people.
    pub name: &'static str,
    /// A variable, and the value that it has there; any value where none is named.
    sign: (&'static str, Option<&'static str>),
    /// The page of the run.
    url: &'static [Part],
    commit: &'static [&'static str],
    branch: &'static [&'static str],
}

/// A piece of an address: text, or the value of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Text(&'static str),
    Variable(&'static str),
}

use Part::{Text, Variable};

/// The longest value that is taken over.
const MAX_VALUE: usize = 1_000;

const fn system(
    name: &'static str,
    sign: (&'static str, Option<&'static str>),
    url: &'static [Part],
    commit: &'static [&'static str],
    branch: &'static [&'static str],
) -> System {
    System { name, sign, url, commit, branch }
}

const GITHUB_RUN: &[Part] = &[
    Variable("GITHUB_SERVER_URL"),
    Text("/"),
    Variable("GITHUB_REPOSITORY"),
    Text("/actions/runs/"),
    Variable("GITHUB_RUN_ID"),
];

/// Every system that is known. Those that pose as another come before it: the first that fits is taken.
pub const SYSTEMS: &[System] = &[
    // https://docs.gitea.com/usage/actions/comparison, https://forgejo.org/docs/latest/user/actions/reference/
    system(
        "Forgejo Actions",
        ("FORGEJO_ACTIONS", None),
        GITHUB_RUN,
        &["GITHUB_SHA"],
        &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
    ),
    system(
        "Gitea Actions",
        ("GITEA_ACTIONS", None),
        GITHUB_RUN,
        &["GITHUB_SHA"],
        &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
    ),
    // https://docs.github.com/en/actions/reference/workflows-and-actions/variables
    system(
        "GitHub Actions",
        ("GITHUB_ACTIONS", None),
        GITHUB_RUN,
        &["GITHUB_SHA"],
        &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
    ),
    // https://docs.gitlab.com/ci/variables/predefined_variables/
    system(
        "GitLab CI",
        ("GITLAB_CI", None),
        &[Variable("CI_JOB_URL")],
        &["CI_COMMIT_SHA"],
        &["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"],
    ),
    // https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables
    system(
        "Jenkins",
        ("JENKINS_URL", None),
        &[Variable("BUILD_URL")],
        &["GIT_COMMIT"],
        &["CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"],
    ),
    // https://learn.microsoft.com/en-us/azure/devops/pipelines/build/variables
    system(
        "Azure Pipelines",
        ("TF_BUILD", None),
        &[
            Variable("SYSTEM_COLLECTIONURI"),
            Variable("SYSTEM_TEAMPROJECT"),
            Text("/_build/results?buildId="),
            Variable("BUILD_BUILDID"),
        ],
        &["BUILD_SOURCEVERSION"],
        &["SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCHNAME"],
    ),
    // https://circleci.com/docs/reference/variables/
    system(
        "CircleCI",
        ("CIRCLECI", None),
        &[Variable("CIRCLE_BUILD_URL")],
        &["CIRCLE_SHA1"],
        &["CIRCLE_BRANCH", "CIRCLE_TAG"],
    ),
    // https://buildkite.com/docs/pipelines/configure/environment-variables
    system(
        "Buildkite",
        ("BUILDKITE", None),
        &[Variable("BUILDKITE_BUILD_URL")],
        &["BUILDKITE_COMMIT"],
        &["BUILDKITE_BRANCH"],
    ),
    // https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/
    system(
        "Bitbucket Pipelines",
        ("BITBUCKET_COMMIT", None),
        &[Variable("BITBUCKET_GIT_HTTP_ORIGIN"), Text("/pipelines/results/"), Variable("BITBUCKET_BUILD_NUMBER")],
        &["BITBUCKET_COMMIT"],
        &["BITBUCKET_BRANCH", "BITBUCKET_TAG"],
    ),
    // https://woodpecker-ci.org/docs/usage/environment
    system(
        "Woodpecker",
        ("CI", Some("woodpecker")),
        &[Variable("CI_PIPELINE_URL")],
        &["CI_COMMIT_SHA"],
        &["CI_COMMIT_SOURCE_BRANCH", "CI_COMMIT_BRANCH"],
    ),
    // https://docs.drone.io/pipeline/environment/reference/
    system(
        "Drone",
        ("DRONE", None),
        &[Variable("DRONE_BUILD_LINK")],
        &["DRONE_COMMIT_SHA"],
        &["DRONE_SOURCE_BRANCH", "DRONE_BRANCH"],
    ),
    // https://www.jetbrains.com/help/teamcity/predefined-build-parameters.html
    system("TeamCity", ("TEAMCITY_VERSION", None), &[Variable("BUILD_URL")], &["BUILD_VCS_NUMBER"], &[]),
    // https://docs.travis-ci.com/user/environment-variables/#default-environment-variables
    system(
        "Travis CI",
        ("TRAVIS", None),
        &[Variable("TRAVIS_BUILD_WEB_URL")],
        &["TRAVIS_PULL_REQUEST_SHA", "TRAVIS_COMMIT"],
        &["TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH"],
    ),
    // Tekton sets nothing by itself; this is what the documented tasks pass on:
    // https://tekton.dev/docs/pipelines/variables/
    system("Tekton", ("TEKTON_PIPELINE_RUN", None), &[], &[], &[]),
];

/// The run that this environment is of; none outside of a pipeline that is known.
#[must_use]
pub fn detect(variable: Variables<'_>) -> Option<PipelineRun> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty() && value.len() <= MAX_VALUE);
    let is_here = |system: &&System| {
        let (name, expected) = system.sign;
        set(name).is_some_and(|value| expected.is_none_or(|expected| value == expected) && value != "false")
    };
    let System { name, sign: _, url, commit, branch } = SYSTEMS.iter().find(is_here)?;
    let part = |part: &Part| match part {
        Text(text) => Some((*text).to_owned()),
        Variable(name) => set(name),
    };
    let url =
        url.iter().map(part).collect::<Option<Vec<_>>>().filter(|parts| !parts.is_empty()).map(|parts| parts.concat());
    let first = |names: &[&str]| names.iter().find_map(|name| set(name));
    Some(PipelineRun {
        system: (*name).to_owned(),
        // Anything may stand in a variable; what is shown as a link must be one.
        url: url.filter(|url| url.starts_with("https://") || url.starts_with("http://")),
        commit: first(commit),
        branch: first(branch),
    })
}

/// The names of the variables that tell each system.
pub fn signs() -> impl Iterator<Item = (&'static str, &'static str)> {
    SYSTEMS.iter().map(|system| (system.name, system.sign.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(variables: &[(&str, &str)]) -> Option<PipelineRun> {
        let found =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        detect(&found)
    }

    #[test]
    fn each_run_is_told_by_its_own_variables() {
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SERVER_URL", "https://ghe.example"),
            ("GITHUB_REPOSITORY", "team/app"),
            ("GITHUB_RUN_ID", "9"),
            ("GITHUB_SHA", "abc"),
            ("GITHUB_REF_NAME", "7/merge"),
            ("GITHUB_HEAD_REF", "fix"),
        ];
        let found = run(&github).unwrap();
        assert_eq!(found.url.as_deref(), Some("https://ghe.example/team/app/actions/runs/9"));
        assert_eq!(
            (found.system.as_str(), found.commit.as_deref(), found.branch.as_deref()),
            ("GitHub Actions", Some("abc"), Some("fix"))
        );
        // Gitea sets GitHub's variables, too.
        assert_eq!(run(&[("GITEA_ACTIONS", "true"), github[0]]).unwrap().system, "Gitea Actions");
        let azure = [
            ("TF_BUILD", "True"),
            ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/team/"),
            ("SYSTEM_TEAMPROJECT", "app"),
            ("BUILD_BUILDID", "5"),
        ];
        let url = run(&azure).unwrap().url;
        assert_eq!(url.as_deref(), Some("https://dev.azure.com/team/app/_build/results?buildId=5"));
        assert_eq!(run(&azure[..3]).unwrap().url, None);
        assert_eq!(run(&[("CI", "woodpecker")]).unwrap().system, "Woodpecker");
        assert_eq!(run(&[("CI", "true")]), None);
        assert_eq!(run(&[("CIRCLECI", "false")]), None);
        assert_eq!(run(&[]), None);
        let odd = run(&[("JENKINS_URL", "x"), ("BUILD_URL", "javascript:alert(1)")]).unwrap();
        assert_eq!((odd.system.as_str(), odd.url), ("Jenkins", None));
    }
}
