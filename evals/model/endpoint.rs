//! The HTTP endpoint of a model.
//!
//! Invariant: the API key is in no error and no transcript.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response, StatusCode};
use rustls::crypto::ring;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::conversation::Api;

/// A reply of a slow model with a long context.
const TIMEOUT: Duration = Duration::from_secs(300);
const ATTEMPTS: u32 = 4;
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Characters of a response that an error quotes.
const MAX_QUOTE: usize = 300;

/// A model at an endpoint.
pub struct Endpoint {
    client: reqwest::Client,
    url: String,
    key: Option<SecretString>,
    pub api: Api,
    pub model: String,
}

impl Endpoint {
    /// `base` is the URL without the API's path, such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// If the HTTP client cannot be built.
    pub fn new(
        base: &str,
        api: Api,
        model: &str,
        key: Option<SecretString>,
    ) -> Result<Self, String> {
        // Fails if a provider is installed already, which serves as well.
        let _ = ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(TIMEOUT).build();
        let path = match api {
            Api::OpenAi => "chat/completions",
            Api::Anthropic => "messages",
        };
        Ok(Self {
            client: client.map_err(|error| error.to_string())?,
            url: format!("{}/{path}", base.trim_end_matches('/')),
            key,
            api,
            model: model.to_owned(),
        })
    }

    /// Sends a request, again after a rate limit or a server error, and returns the JSON response.
    ///
    /// # Errors
    /// If the endpoint is unreachable or reports an error.
    pub async fn send(&self, body: &Value) -> Result<Value, String> {
        let mut attempt = 1;
        loop {
            let response = self.request(body).send().await;
            let response = response.map_err(|error| error.without_url().to_string())?;
            let status = response.status();
            if status.is_success() {
                let body = response.text().await;
                let body = body.map_err(|error| error.without_url().to_string())?;
                return serde_json::from_str(&body).map_err(|_| {
                    format!("The endpoint did not return JSON: {}", self.quote(&body))
                });
            }
            let retryable = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            if attempt < ATTEMPTS && retryable {
                tokio::time::sleep(wait(&response, attempt)).await;
                attempt += 1;
                continue;
            }
            let body = response.text().await.unwrap_or_default();
            return Err(format!(
                "The endpoint returned {status}: {}",
                self.quote(&body)
            ));
        }
    }

    fn request(&self, body: &Value) -> RequestBuilder {
        let request = self.client.post(&self.url).json(body);
        let key = self.key.as_ref().map(ExposeSecret::expose_secret);
        match (self.api, key) {
            (Api::OpenAi, Some(key)) => request.bearer_auth(key),
            (Api::OpenAi, None) => request,
            (Api::Anthropic, key) => {
                let request = request.header("anthropic-version", "2023-06-01");
                match key {
                    Some(key) => request.header("x-api-key", key),
                    None => request,
                }
            }
        }
    }

    /// The beginning of a response, without the key.
    fn quote(&self, body: &str) -> String {
        let body = match &self.key {
            Some(key) => body.replace(key.expose_secret(), "[API key]"),
            None => body.to_owned(),
        };
        body.chars().take(MAX_QUOTE).collect()
    }
}

/// As long as the endpoint says, else longer with every attempt.
fn wait(response: &Response, attempt: u32) -> Duration {
    let header = response.headers().get(RETRY_AFTER);
    let seconds = header.and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1 << attempt)).min(MAX_WAIT)
}
