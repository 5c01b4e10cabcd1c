//! One comment on the pull request, edited by later runs and never repeated.
//!
//! API: <https://docs.github.com/en/rest/issues/comments>.

use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use crate::{ForgeError, marker};

/// The longest comment that GitHub takes, in bytes: 65,536 characters.
pub(super) const MAX_COMMENT: usize = 65_000;
/// Comments asked for at a time.
const PAGE: usize = 50;
/// The most pages looked through: GitHub lets a pull request have 2,500 comments.
const MAX_PAGES: usize = 50;
const WHAT: &str = "the comment";

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    user: Option<User>,
    author_association: Option<String>,
}

#[derive(Deserialize)]
struct User {
    #[serde(rename = "type", default)]
    kind: String,
}

impl Comment {
    /// Whether an earlier run wrote it. Anybody may comment, and whoever wrote a comment can change it: one of a
    /// stranger is never taken for ours, whatever stands in it.
    fn is_ours(&self, marker: &str) -> bool {
        let is_bot = self.user.as_ref().is_some_and(|user| user.kind == "Bot");
        let is_member = matches!(self.author_association.as_deref(), Some("OWNER" | "MEMBER" | "COLLABORATOR"));
        self.body.as_deref().is_some_and(|body| body.starts_with(marker)) && (is_bot || is_member)
    }
}

impl GitHub {
    /// Writes `text`, which is Markdown, as the comment of `name` on the pull request; false where there is none.
    ///
    /// # Errors
    /// When GitHub does not take it.
    pub async fn comment(&self, name: &str, text: &str) -> Result<bool, ForgeError> {
        let Some(pull_request) = self.context.pull_request else { return Ok(false) };
        let marker = marker(name);
        let body = format!("{marker}\n{text}");
        if body.len() > MAX_COMMENT {
            return Err(ForgeError::TooLarge { forge: super::FORGE, what: WHAT.to_owned(), limit: MAX_COMMENT });
        }
        // Whether a request that got no answer was carried out, the next look at the comments tells.
        self.transport.again(|| self.write_comment(pull_request, &marker, &body)).await?;
        Ok(true)
    }

    async fn write_comment(&self, pull_request: u64, marker: &str, body: &str) -> Result<(), ForgeError> {
        let body = json!({ "body": body });
        let _answer: serde_json::Value = match self.own_comment(pull_request, marker).await? {
            Some(id) => self.patch(WHAT, &format!("issues/comments/{id}"), &body).await?,
            None => self.post(WHAT, &format!("issues/{pull_request}/comments"), &body).await?,
        };
        Ok(())
    }

    async fn own_comment(&self, pull_request: u64, marker: &str) -> Result<Option<u64>, ForgeError> {
        let route = format!("issues/{pull_request}/comments");
        for page in 1..=MAX_PAGES {
            let query = [("per_page", PAGE), ("page", page)];
            let comments: Vec<Comment> = self.get(WHAT, &route, Some(&query)).await?;
            if let Some(comment) = comments.iter().find(|comment| comment.is_ours(marker)) {
                return Ok(Some(comment.id));
            }
            if comments.len() < PAGE {
                break;
            }
        }
        Ok(None)
    }
}
