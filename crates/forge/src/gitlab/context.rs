//! Which project, commit and merge request a job runs for, as GitLab tells it.
//!
//! Variables: <https://docs.gitlab.com/ci/variables/predefined_variables/>.

use crate::{
    ForgeError, Variables,
    environment::{Environment, wrong},
};

/// What a job runs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Where the API lies.
    pub api_url: String,
    /// The project that the pipeline runs in.
    pub project: u64,
    /// The commit that the pipeline runs for.
    pub commit: String,
    /// The pipeline.
    pub pipeline: Option<u64>,
    /// The merge request: its project, and its number there.
    pub merge_request: Option<(u64, u64)>,
    /// The page of this job.
    pub job_url: Option<String>,
}

impl Context {
    /// Reads the environment of a job.
    ///
    /// # Errors
    /// When a variable is missing or not what GitLab says it is.
    pub fn from_environment(variable: Variables<'_>) -> Result<Self, ForgeError> {
        let job = Environment(variable);
        let commit = job.commit("CI_COMMIT_SHA")?;
        let project = job.number("CI_PROJECT_ID")?.ok_or_else(|| wrong("CI_PROJECT_ID", "it is not set"))?;
        // A merge request of a fork lies in the project that it is for.
        let of_request = job.number("CI_MERGE_REQUEST_PROJECT_ID")?.unwrap_or(project);
        Ok(Self {
            api_url: job.needed("CI_API_V4_URL")?,
            project,
            commit,
            pipeline: job.number("CI_PIPELINE_ID")?,
            merge_request: job.number("CI_MERGE_REQUEST_IID")?.map(|number| (of_request, number)),
            job_url: job.get("CI_JOB_URL").filter(|url| url.len() <= 255),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_request_lies_in_its_own_project() {
        let commit = "0123456789012345678901234567890123456789";
        let usual =
            [("CI_API_V4_URL", "https://gitlab.example/api/v4"), ("CI_PROJECT_ID", "5"), ("CI_COMMIT_SHA", commit)];
        let context = |more: &[(&str, &str)]| {
            let find = |name: &str| {
                let found = more.iter().chain(&usual).find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            Context::from_environment(&find).map_err(|error| error.to_string())
        };
        assert_eq!(context(&[]).unwrap().merge_request, None);
        let of_fork = context(&[("CI_MERGE_REQUEST_IID", "7"), ("CI_MERGE_REQUEST_PROJECT_ID", "9")]).unwrap();
        assert_eq!((of_fork.project, of_fork.merge_request), (5, Some((9, 7))));
        for (name, value) in
            [("CI_PROJECT_ID", "../1"), ("CI_COMMIT_SHA", "main"), ("CI_API_V4_URL", ""), ("CI_PIPELINE_ID", "x")]
        {
            assert!(context(&[(name, value)]).unwrap_err().starts_with(name), "{name}");
        }
    }
}
