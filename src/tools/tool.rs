//! What a tool is, and how one is called.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use posthog_client::{Client, RequiredScopes};

use super::arguments;
use super::error::ToolError;
use super::pending_write::{PreparedCall, Status, ToolOutcome};
use super::schema;
use crate::export::Exports;
use crate::output::OutputOptions;
use crate::policy::{Effect, OptIn, Toolset};

/// What a call may use.
#[derive(Clone)]
pub struct Context {
    /// PostHog, as the caller's credential sees it.
    pub posthog: Client,
    /// Size and redaction of the result.
    pub limits: OutputOptions,
    /// Where exports are written, if they are enabled.
    pub exports: Option<Exports>,
}

/// A tool. `docs/adding-a-tool.md` says how to add one.
pub trait Tool {
    /// The arguments. Denies unknown fields; the doc comments of fields are read by the model.
    type Input: DeserializeOwned + JsonSchema + Send + 'static;
    /// The result as fields.
    type Output: Serialize + JsonSchema + 'static;
    /// The name in the protocol, which is also the file's.
    const NAME: &'static str;
    /// The name that clients show to people.
    const TITLE: &'static str;
    /// For the model: what it does, and when to use another tool.
    const DESCRIPTION: &'static str;
    /// What people call this job and the persons it is about, for clients that find tools by search. The model does not see it.
    const SEARCH_HINT: &'static str;
    /// Arguments of earlier versions, which are accepted and not offered.
    const UNLISTED: &'static [&'static str] = &[];
    /// What it does to data.
    const EFFECT: Effect;
    /// The group it belongs to.
    const TOOLSET: Toolset;
    /// The setting without which it is not offered.
    const OPT_IN: Option<OptIn> = None;
    /// The scopes that its endpoints require.
    const ACCESS: RequiredScopes;
    /// Parts of the result that need a scope of their own, and that are missing without it.
    const PARTS: &'static [(&'static str, &'static str)] = &[];
    /// Arguments of a call that works on the sandbox, as JSON. Tests and documents call the tool with them.
    const EXAMPLE: &'static str;
    /// Whether an optional argument that is blank counts as absent, and is no error.
    const BLANK_IS_ABSENT: bool = true;
    /// Whether a call can change more than one person. Those that do require a confirmation, as all calls of a tool that
    /// deletes do.
    const CHANGES_SEVERAL: bool = false;
    /// The statuses that a write of this tool ends with.
    const STATUSES: &'static [Status] = &[];

    /// Reads, or prepares a write. Rules between arguments are checked here, before any request.
    fn call(
        context: &Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<ToolOutcome<Self::Output>, ToolError>> + Send;
}

/// The arguments of every tool whose calls can require a confirmation. Tools never see them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct ConfirmationArguments {
    /// Preview only; send nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// The token of the preview, once the user agreed.
    #[serde(default, rename = "confirmation")]
    pub token: Option<String>,
}

/// What a call is made for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The preview of a write instead of the write.
    pub dry_run: bool,
    /// The fields of what was read, besides the text.
    pub fields: bool,
}

type Run =
    fn(Context, Map<String, Value>, Wanted) -> BoxFuture<'static, Result<PreparedCall, ToolError>>;

/// A tool in the catalog, with its types erased.
#[derive(Clone)]
pub struct ToolDefinition {
    /// The name in the protocol.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// The description for the model.
    pub description: &'static str,
    /// More words to find it by.
    pub search_hint: &'static str,
    /// What it does to data.
    pub effect: Effect,
    /// The group it belongs to.
    pub toolset: Toolset,
    /// The setting without which it is not offered.
    pub opt_in: Option<OptIn>,
    /// The scopes that its endpoints require.
    pub access: RequiredScopes,
    /// Parts of the result, and the scope that each needs.
    pub parts: &'static [(&'static str, &'static str)],
    /// Arguments of a call that works on the sandbox, as JSON.
    pub example: &'static str,
    /// Whether calls can require a confirmation.
    pub confirmable: bool,
    /// Whether an optional argument that is blank counts as absent.
    pub blank_is_absent: bool,
    /// JSON Schema of the arguments.
    pub input_schema: Arc<Map<String, Value>>,
    /// The same with the arguments that are accepted and not offered.
    accepted_schema: Arc<Map<String, Value>>,
    /// Not made in advance: no client is sent it by default.
    output_schema: fn() -> Map<String, Value>,
    run: Run,
}

impl ToolDefinition {
    /// The definition of a tool.
    #[must_use]
    pub fn new<T: Tool + 'static>() -> Self {
        let confirmable = confirmable::<T>();
        let mut input_schema = schema::of_input::<T::Input>();
        if confirmable {
            schema::add_arguments::<ConfirmationArguments>(&mut input_schema);
        }
        let accepted_schema = Arc::new(input_schema);
        let mut input_schema = Arc::clone(&accepted_schema);
        if !T::UNLISTED.is_empty()
            && let Some(Value::Object(properties)) =
                Arc::make_mut(&mut input_schema).get_mut("properties")
        {
            properties.retain(|name, _| !T::UNLISTED.contains(&name.as_str()));
        }
        Self {
            name: T::NAME,
            title: T::TITLE,
            description: T::DESCRIPTION,
            search_hint: T::SEARCH_HINT,
            effect: T::EFFECT,
            toolset: T::TOOLSET,
            opt_in: T::OPT_IN,
            access: T::ACCESS,
            parts: T::PARTS,
            example: T::EXAMPLE,
            confirmable,
            blank_is_absent: T::BLANK_IS_ABSENT,
            input_schema,
            accepted_schema,
            output_schema: output_schema::<T>,
            run: |context, arguments, wanted| run::<T>(context, arguments, wanted).boxed(),
        }
    }

    /// JSON Schema of the result's fields.
    #[must_use]
    pub fn output_schema(&self) -> Map<String, Value> {
        (self.output_schema)()
    }

    /// Arguments in the types of the schema, where the meaning of what was sent is unambiguous.
    #[must_use]
    pub fn arguments(&self, arguments: Map<String, Value>) -> Map<String, Value> {
        let names: Vec<String> = arguments.keys().cloned().collect();
        let mut read = arguments::coerce(arguments, &self.accepted_schema);
        if !self.blank_is_absent {
            let blank = names.into_iter().filter(|name| !read.contains_key(name));
            let blank: Vec<String> = blank.collect();
            read.extend(blank.into_iter().map(|name| (name, Value::Null)));
        }
        read
    }

    /// Takes the arguments about the confirmation out of those of a call.
    ///
    /// # Errors
    /// When they have the wrong types.
    pub fn take_confirmation(
        &self,
        arguments: &mut Map<String, Value>,
    ) -> Result<ConfirmationArguments, ToolError> {
        if !self.confirmable {
            return Ok(ConfirmationArguments::default());
        }
        let taken = ["dry_run", "confirmation"]
            .into_iter()
            .filter_map(|name| arguments.remove_entry(name));
        arguments::read(Value::Object(taken.collect()), self.example)
    }

    /// The arguments that decide what a call does: without those that only decide how long it waits, and without those
    /// that say what is so by default.
    #[must_use]
    pub fn effective_arguments(&self, arguments: &Map<String, Value>) -> Map<String, Value> {
        let properties = self.input_schema.get("properties");
        let default = |name: &str| properties.and_then(|all| all.get(name)?.get("default"));
        arguments
            .iter()
            .filter(|(name, value)| *name != "wait_seconds" && default(name) != Some(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Calls the tool, up to the point where a write would be sent.
    ///
    /// # Errors
    /// What the model can act on.
    pub async fn call(
        &self,
        context: Context,
        arguments: Map<String, Value>,
        wanted: Wanted,
    ) -> Result<PreparedCall, ToolError> {
        arguments::check_names(&arguments, &self.accepted_schema)?;
        if !self.blank_is_absent
            && let Some((name, _)) = arguments.iter().find(|(_, value)| value.is_null())
        {
            return Err(ToolError::invalid_input(format!(
                "`{name}` is blank: give a value, or leave it out. Nothing was exported."
            )));
        }
        (self.run)(context, arguments, wanted).await
    }
}

fn confirmable<T: Tool>() -> bool {
    T::EFFECT.deletes() || T::CHANGES_SEVERAL
}

fn output_schema<T: Tool>() -> Map<String, Value> {
    let mut output_schema = schema::of_output::<T::Output>();
    if confirmable::<T>() {
        schema::add_token(&mut output_schema);
    }
    if T::EFFECT != Effect::Read {
        schema::add_status(&mut output_schema, T::STATUSES, confirmable::<T>());
    }
    output_schema
}

async fn run<T: Tool>(
    context: Context,
    arguments: Map<String, Value>,
    wanted: Wanted,
) -> Result<PreparedCall, ToolError> {
    let input = arguments::read::<T::Input>(Value::Object(arguments), T::EXAMPLE)?;
    let outcome = T::call(&context, input).await?;
    outcome.prepare(T::EFFECT.deletes(), wanted)
}
