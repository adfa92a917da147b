//! Whether PostHog knows a feature: asked once of its schema, for all clients of a connection.

use crate::client::Client;
use crate::error::{Error, ErrorKind, Unsupported};
use crate::feature::{Feature, KnownFeatures, Support};
use crate::request::Request;

impl Client {
    /// Whether this PostHog knows a field. PostHog Cloud does; the schema of any other is read once for all clients of
    /// the connection, when this is first asked.
    ///
    /// # Errors
    /// None of PostHog's: what cannot be read is [`Support::Unknown`]. Only a key that PostHog rejects, or a rate limit,
    /// is reported, because neither says anything about the version.
    pub async fn support(&self, feature: Feature) -> Result<Support, Error> {
        let connection = &self.inner.connection;
        if connection.is_current() {
            return Ok(Support::Supported);
        }
        let known = connection
            .features()
            .get_or_try_init(|| self.read_features());
        Ok(known.await?.support(feature))
    }

    /// Refuses what this PostHog would ignore.
    ///
    /// # Errors
    /// [`Unsupported::Feature`], and as [`Client::support`].
    pub async fn require(&self, feature: Feature) -> Result<(), Error> {
        let known = match self.support(feature).await? {
            Support::Supported => return Ok(()),
            Support::TooOld => true,
            Support::Unknown => false,
        };
        Err(Error::new(ErrorKind::Unsupported(Unsupported::Feature {
            feature,
            known,
        })))
    }

    async fn read_features(&self) -> Result<KnownFeatures, Error> {
        let query = vec![("format".into(), "json".to_owned())];
        match self
            .send(&Request::get(vec!["api", "schema"]).query(query))
            .await
        {
            Ok(body) => Ok(KnownFeatures::read(
                std::str::from_utf8(&body).unwrap_or_default(),
            )),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Authentication
                        | ErrorKind::RateLimited { .. }
                        | ErrorKind::RateLimitedLocally { .. }
                        | ErrorKind::QueueTimeout
                        | ErrorKind::Timeout
                        | ErrorKind::ConnectionLost
                        | ErrorKind::Connect
                        | ErrorKind::Tls
                ) =>
            {
                Err(error)
            }
            Err(error) => {
                tracing::info!(
                    kind = error.kind().name(),
                    "the schema of PostHog could not be read"
                );
                Ok(KnownFeatures::default())
            }
        }
    }
}
