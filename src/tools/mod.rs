//! The tools, one file each, and what they have in common.
//!
//! A tool states its name, its words for the model, its effect and its arguments, and turns a call into PostHog
//! requests and an answer. It does not know the protocol, the settings or any other tool; whether it is offered and
//! what happens around a call is decided elsewhere, from its effect.
//!
//! A tool that writes only prepares: it reads what it needs, and gives back a [`Write`] that holds the request, unsent.
//! Between the two stand the yes of a human, for a deletion, and the line in the audit log.

#![allow(
    clippy::doc_markdown,
    reason = "the documentation of arguments is text for the model"
)]

mod actors;
mod arguments;
mod change;
mod deletion;
mod error;
mod person;
mod schema;
mod write;

mod persons_activity_retrieve;
mod persons_batch_retrieve;
mod persons_bulk_delete;
mod persons_cohorts_retrieve;
mod persons_deletion_status_list;
mod persons_funnel;
mod persons_lifecycle;
mod persons_list;
mod persons_properties_at_time_retrieve;
mod persons_properties_timeline_retrieve;
mod persons_property_delete;
mod persons_property_set;
mod persons_reset_distinct_id;
mod persons_retrieve;
mod persons_split;
mod persons_trends;
mod persons_update;
mod persons_values_retrieve;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::answer::Limits;
use crate::policy::{Effect, Toolset};
use crate::posthog::{Access, Client};

pub use error::ToolError;
pub use write::{Outcome, Preview, Step, Write};

/// What a call may use.
#[derive(Clone)]
pub struct Context {
    /// PostHog, as the caller's credential sees it.
    pub posthog: Client,
    /// What the answer may cost.
    pub limits: Limits,
}

/// A tool. To add one: a file with a type that implements this, and a line in [`catalog`].
pub trait Tool {
    /// The arguments. Refuses unknown fields; a field's documentation is written for the model.
    type Input: DeserializeOwned + JsonSchema + Send + 'static;
    /// The answer as fields.
    type Output: Serialize + JsonSchema + 'static;
    /// The name in the protocol, which is also the file's.
    const NAME: &'static str;
    /// The name for people.
    const TITLE: &'static str;
    /// For the model: what it does, and when to use another.
    const DESCRIPTION: &'static str;
    /// What it does to data.
    const EFFECT: Effect;
    /// The group it belongs to.
    const TOOLSET: Toolset;
    /// What its endpoints ask of a key.
    const ACCESS: Access;

    /// Does the work, or prepares it where it is a write. The arguments have their types; what only makes sense
    /// together is checked here, before any request.
    fn call(
        context: &Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<Step<Self::Output>, ToolError>> + Send;
}

type Run = fn(Context, Value) -> BoxFuture<'static, Result<Step<Value>, ToolError>>;

/// A tool in the catalog, with its types forgotten.
#[derive(Clone)]
pub struct Entry {
    /// The name in the protocol.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// The words for the model.
    pub description: &'static str,
    /// What it does to data.
    pub effect: Effect,
    /// The group it belongs to.
    pub toolset: Toolset,
    /// What its endpoints ask of a key.
    pub access: Access,
    /// JSON Schema of the arguments.
    pub input_schema: Arc<Map<String, Value>>,
    /// JSON Schema of the answer's fields.
    pub output_schema: Arc<Map<String, Value>>,
    run: Run,
}

impl Entry {
    /// The entry of a tool.
    #[must_use]
    pub fn of<T: Tool + 'static>() -> Self {
        Self {
            name: T::NAME,
            title: T::TITLE,
            description: T::DESCRIPTION,
            effect: T::EFFECT,
            toolset: T::TOOLSET,
            access: T::ACCESS,
            input_schema: Arc::new(schema::of_input::<T::Input>()),
            output_schema: Arc::new(schema::of_output::<T::Output>()),
            run: |context, arguments| run::<T>(context, arguments).boxed(),
        }
    }

    /// Arguments in the form that the schema says, where what was sent leaves no doubt.
    #[must_use]
    pub fn arguments(&self, arguments: Map<String, Value>) -> Map<String, Value> {
        arguments::lenient(arguments, &self.input_schema)
    }

    /// Calls the tool, up to the point where a write would be sent.
    ///
    /// # Errors
    /// What the model can act on.
    pub async fn call(
        &self,
        context: Context,
        arguments: Map<String, Value>,
    ) -> Result<Step<Value>, ToolError> {
        (self.run)(context, Value::Object(arguments)).await
    }
}

async fn run<T: Tool>(context: Context, arguments: Value) -> Result<Step<Value>, ToolError> {
    let input = arguments::read::<T::Input>(arguments)?;
    T::call(&context, input).await?.into_values()
}

/// All tools, in the order in which they are offered.
#[must_use]
pub fn catalog() -> Vec<Entry> {
    vec![
        Entry::of::<persons_list::PersonsList>(),
        Entry::of::<persons_retrieve::PersonsRetrieve>(),
        Entry::of::<persons_values_retrieve::PersonsValuesRetrieve>(),
        Entry::of::<persons_cohorts_retrieve::PersonsCohortsRetrieve>(),
        Entry::of::<persons_batch_retrieve::PersonsBatchRetrieve>(),
        Entry::of::<persons_activity_retrieve::PersonsActivityRetrieve>(),
        Entry::of::<persons_properties_timeline_retrieve::PersonsPropertiesTimelineRetrieve>(),
        Entry::of::<persons_properties_at_time_retrieve::PersonsPropertiesAtTimeRetrieve>(),
        Entry::of::<persons_deletion_status_list::PersonsDeletionStatusList>(),
        Entry::of::<persons_funnel::PersonsFunnel>(),
        Entry::of::<persons_trends::PersonsTrends>(),
        Entry::of::<persons_lifecycle::PersonsLifecycle>(),
        Entry::of::<persons_update::PersonsUpdate>(),
        Entry::of::<persons_property_set::PersonsPropertySet>(),
        Entry::of::<persons_property_delete::PersonsPropertyDelete>(),
        Entry::of::<persons_reset_distinct_id::PersonsResetDistinctId>(),
        Entry::of::<persons_split::PersonsSplit>(),
        Entry::of::<persons_bulk_delete::PersonsBulkDelete>(),
    ]
}

/// The scopes that some of these tools ask of a key, and the one for finding out the project.
#[must_use]
pub fn scopes(tools: &[Entry]) -> BTreeSet<&'static str> {
    let scopes = tools.iter().flat_map(|tool| match tool.access {
        Access::Scopes(scopes) => scopes,
        Access::ClosedToScopedKeys => &[],
    });
    scopes.copied().chain(["user:read"]).collect()
}
