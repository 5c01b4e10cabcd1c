//! The `gitlab` crate on our transport: it knows the endpoints; connections, limits and the token are ours.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use gitlab::api::{
    ApiError, AsyncClient, AsyncQuery, Endpoint, Pagination, RestClient,
    common::SortOrder,
    ignore, paged,
    projects::{
        merge_requests::notes::{CreateMergeRequestNote, EditMergeRequestNote, MergeRequestNotes},
        packages::generic::UploadPackageFile,
        repository::commits::{CommitStatusState, CreateCommitStatus},
    },
    users::CurrentUser,
};
use http::{Response, request::Builder};
use portcullis_errors::Secret;
use reqwest::Url;
use serde::Deserialize;

use super::{Context, FORGE};
use crate::{Access, ForgeError, TransportError, marker, short, transport::Transport};

/// The longest note, in bytes; GitLab takes a million characters.
const MAX_NOTE: usize = 900_000;
/// The largest file of a package that is uploaded here, in bytes.
const MAX_FILE: usize = 256 << 20;
/// Notes asked for at a time: each may be a million characters.
const PAGE: usize = 10;
/// The most notes looked through.
const MAX_NOTES: usize = 5_000;
/// The longest description of a status, in characters.
const MAX_DESCRIPTION: usize = 255;
const NOTE: &str = "the note";

/// What a token may do depends on whose it is.
#[derive(Debug, Clone)]
pub enum Token {
    /// Of a project, a group or a person.
    Access(Secret),
    /// Of the job.
    Job(Secret),
}

/// The state of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It passes.
    Success,
    /// It fails, or it is not known.
    Failed,
}

/// A project at GitLab, and a token for it.
pub struct GitLab {
    transport: Transport,
    context: Context,
}

#[derive(Deserialize)]
struct User {
    id: u64,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    body: String,
    author: User,
}

impl RestClient for Transport {
    type Error = TransportError;

    fn rest_endpoint(&self, endpoint: &str) -> Result<Url, ApiError<TransportError>> {
        self.url(&format!("/{endpoint}")).map_err(|source| ApiError::Client { source })
    }
}

#[async_trait]
impl AsyncClient for Transport {
    async fn rest_async(&self, request: Builder, body: Vec<u8>) -> Result<Response<Bytes>, ApiError<TransportError>> {
        let request = request.body(Bytes::from(body));
        let request =
            request.map_err(|error| ApiError::Client { source: TransportError::Elsewhere(error.to_string()) })?;
        self.send(request).await.map_err(|source| ApiError::Client { source })
    }
}

impl GitLab {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// When the address or the token cannot be used.
    pub fn new(context: Context, token: &Token, access: &Access) -> Result<Self, ForgeError> {
        let token = match token {
            Token::Access(token) => ("private-token", "", token),
            Token::Job(token) => ("job-token", "", token),
        };
        let transport = Transport::new(access, ("CI_API_V4_URL", &context.api_url), token)?;
        Ok(Self { transport, context })
    }

    /// What it is for.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Writes `text`, which is Markdown, as the note of `name` on the merge request; false where there is none.
    ///
    /// # Errors
    /// When GitLab does not take it.
    pub async fn note(&self, name: &str, text: &str) -> Result<bool, ForgeError> {
        let Some((project, request)) = self.context.merge_request else { return Ok(false) };
        let marker = marker(name);
        let body = format!("{marker}\n{text}");
        if body.len() > MAX_NOTE {
            return Err(ForgeError::TooLarge { forge: FORGE, what: NOTE.to_owned(), limit: MAX_NOTE });
        }
        self.transport
            .again(|| async {
                match self.own_note(project, request, &marker).await? {
                    Some(note) => {
                        let mut edit = EditMergeRequestNote::builder();
                        let edit = edit.project(project).merge_request(request).note(note).body(body.as_str());
                        self.tell(NOTE, built(NOTE, edit.build())?).await
                    }
                    None => {
                        let mut create = CreateMergeRequestNote::builder();
                        let create = create.project(project).merge_request(request).body(body.as_str());
                        self.tell(NOTE, built(NOTE, create.build())?).await
                    }
                }
            })
            .await?;
        Ok(true)
    }

    /// The note that an earlier pipeline wrote; the oldest notes come first, as ours was written by the first pipeline.
    async fn own_note(&self, project: u64, request: u64, marker: &str) -> Result<Option<u64>, ForgeError> {
        let me: User = self.ask(NOTE, &built(NOTE, CurrentUser::builder().build())?).await?;
        let mut notes = MergeRequestNotes::builder();
        let notes = notes.project(project).merge_request(request).sort(SortOrder::Ascending);
        let pages = paged(built(NOTE, notes.build())?, Pagination::AllPerPageLimit(PAGE));
        let mut notes = std::pin::pin!(pages.iter_async::<_, Note>(&self.transport).take(MAX_NOTES));
        while let Some(note) = notes.next().await {
            let note = note.map_err(|error| told(NOTE, error))?;
            // Anybody may write a note that begins like ours.
            if note.author.id == me.id && note.body.starts_with(marker) {
                return Ok(Some(note.id));
            }
        }
        Ok(None)
    }

    /// Sets the status of the commit.
    ///
    /// # Errors
    /// When GitLab does not take it.
    pub async fn status(&self, name: &str, state: State, description: &str) -> Result<(), ForgeError> {
        const WHAT: &str = "the status";
        let description = short(description, MAX_DESCRIPTION / 4);
        let state = match state {
            State::Success => CommitStatusState::Success,
            State::Failed => CommitStatusState::Failed,
        };
        let mut status = CreateCommitStatus::builder();
        status.project(self.context.project).commit(self.context.commit.as_str()).state(state).name(name);
        status.description(description);
        if let Some(pipeline) = self.context.pipeline {
            status.pipeline_id(pipeline);
        }
        if let Some(url) = &self.context.job_url {
            status.target_url(url.as_str());
        }
        let status = built(WHAT, status.build())?;
        match self.transport.again(|| self.tell(WHAT, &status)).await {
            // It is what it should be already: https://gitlab.com/gitlab-org/gitlab/-/issues/20497
            Err(ForgeError::Refused { status: 400, message, .. }) if message.contains("Cannot transition status") => {
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Uploads a file to a generic package.
    ///
    /// # Errors
    /// When a name is none that GitLab takes, or GitLab does not take the file.
    pub async fn package_file(&self, name: &str, version: &str, file: &str, contents: &[u8]) -> Result<(), ForgeError> {
        const WHAT: &str = "the package";
        for text in [name, version, file] {
            // https://docs.gitlab.com/user/packages/generic_packages/#publish-a-single-file
            let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
            if text.is_empty() || text.len() > 255 || text.starts_with('.') || !text.bytes().all(is_fine) {
                let why = format!("`{text}` is no name of a package, version or file: letters, digits, . - _");
                return Err(ForgeError::Answer { forge: FORGE, what: WHAT, why });
            }
        }
        if contents.len() > MAX_FILE {
            return Err(ForgeError::TooLarge { forge: FORGE, what: file.to_owned(), limit: MAX_FILE });
        }
        let mut upload = UploadPackageFile::builder();
        let upload = upload.project(self.context.project).package_name(name).package_version(version);
        let upload = built(WHAT, upload.file_name(file).contents(contents).build())?;
        self.transport.again(|| self.tell(WHAT, &upload)).await
    }

    async fn ask<Answer, Question>(&self, what: &'static str, question: &Question) -> Result<Answer, ForgeError>
    where
        Question: AsyncQuery<Answer, Transport> + Sync,
    {
        question.query_async(&self.transport).await.map_err(|error| told(what, error))
    }

    /// For whom the answer holds nothing new.
    async fn tell(&self, what: &'static str, request: impl Endpoint + Sync) -> Result<(), ForgeError> {
        ignore(request).query_async(&self.transport).await.map_err(|error| told(what, error))
    }
}

/// A request that lacks nothing.
fn built<Request, Error: std::fmt::Display>(
    what: &'static str,
    request: Result<Request, Error>,
) -> Result<Request, ForgeError> {
    request.map_err(|error| ForgeError::Answer { forge: FORGE, what, why: error.to_string() })
}

/// What an error of the crate's means.
fn told(what: &'static str, error: ApiError<TransportError>) -> ForgeError {
    let refused = |status: http::StatusCode, text: &str| ForgeError::refused(FORGE, what, status.as_u16(), text);
    match error {
        ApiError::Client { source } => ForgeError::Transport { forge: FORGE, what, source },
        ApiError::GitlabWithStatus { status, msg } => refused(status, &msg),
        ApiError::GitlabObjectWithStatus { status, obj } | ApiError::GitlabUnrecognizedWithStatus { status, obj } => {
            refused(status, &obj.to_string())
        }
        // Its words are a page of HTML.
        ApiError::GitlabService { status, .. } => refused(status, "no reason given"),
        other => ForgeError::Answer { forge: FORGE, what, why: other.to_string() },
    }
}
