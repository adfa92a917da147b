//! What a tool is, and how one is called.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use posthog_client::{Client, RequiredScopes};

use super::arguments;
use super::error::ToolError;
use super::pending_write::ToolOutcome;
use super::schema;
use crate::output::OutputOptions;
use crate::policy::{Effect, Toolset};

/// What a call may use.
#[derive(Clone)]
pub struct Context {
    /// PostHog, as the caller's credential sees it.
    pub posthog: Client,
    /// What the answer may cost.
    pub limits: OutputOptions,
}

/// A tool. To add one: a file with a type that implements this, and a line in the list in `catalog.rs`.
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
    const ACCESS: RequiredScopes;

    /// Does the work, or prepares it where it is a write. The arguments have their types; what only makes sense
    /// together is checked here, before any request.
    fn call(
        context: &Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<ToolOutcome<Self::Output>, ToolError>> + Send;
}

type Run = fn(Context, Value) -> BoxFuture<'static, Result<ToolOutcome<Value>, ToolError>>;

/// A tool in the catalog, with its types forgotten.
#[derive(Clone)]
pub struct ToolDefinition {
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
    pub access: RequiredScopes,
    /// JSON Schema of the arguments.
    pub input_schema: Arc<Map<String, Value>>,
    /// JSON Schema of the answer's fields.
    pub output_schema: Arc<Map<String, Value>>,
    run: Run,
}

impl ToolDefinition {
    /// The entry of a tool.
    #[must_use]
    pub fn new<T: Tool + 'static>() -> Self {
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
        arguments::coerce(arguments, &self.input_schema)
    }

    /// Calls the tool, up to the point where a write would be sent.
    ///
    /// # Errors
    /// What the model can act on.
    pub async fn call(
        &self,
        context: Context,
        arguments: Map<String, Value>,
    ) -> Result<ToolOutcome<Value>, ToolError> {
        (self.run)(context, Value::Object(arguments)).await
    }
}

async fn run<T: Tool>(context: Context, arguments: Value) -> Result<ToolOutcome<Value>, ToolError> {
    let input = arguments::read::<T::Input>(arguments)?;
    T::call(&context, input).await?.into_values()
}
