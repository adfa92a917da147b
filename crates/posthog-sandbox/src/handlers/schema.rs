//! The `OpenAPI` document that a PostHog serves about itself. Only the two operations whose fields differ between versions
//! are in it (Persons API, Versions).

use serde_json::{Value, json};

use super::context::Context;
use crate::http::Response;
use crate::model::Era;

const PERSON: &str = "Person";
const SPLIT_REQUEST: &str = "PersonSplitRequest";

pub(crate) fn schema(context: &mut Context<'_>) -> Result<Response, Response> {
    if context.parameter("format") != Some("json") {
        return Err(context.reject("schema in another format than JSON"));
    }
    let partial_split = context.era() >= Era::June2026;
    // Without a serializer of its own, an action is documented as taking a person.
    let (split, bulk_delete) = if partial_split {
        (reference(SPLIT_REQUEST), bulk_delete_request())
    } else {
        (reference(PERSON), reference(PERSON))
    };
    let schemas = if partial_split {
        json!({PERSON: person(), SPLIT_REQUEST: split_request()})
    } else {
        json!({PERSON: person()})
    };
    Ok(Response::json(
        200,
        json!({
            "openapi": "3.0.3",
            "info": {"title": "PostHog API", "version": "1.0.0", "description": ""},
            "paths": {
                "/api/projects/{project_id}/persons/{id}/split/": {
                    "post": operation("persons_split_create", split, &["id", "project_id"]),
                },
                "/api/projects/{project_id}/persons/bulk_delete/": {
                    "post": operation("persons_bulk_delete_create", bulk_delete, &["project_id"]),
                },
            },
            "components": {"schemas": schemas},
        }),
    ))
}

fn operation(id: &str, body: Value, parameters: &[&str]) -> Value {
    let parameter = |name: &&str| json!({"in": "path", "name": name, "schema": {"type": "string"}, "required": true});
    json!({
        "operationId": id,
        "parameters": parameters.iter().map(parameter).collect::<Vec<_>>(),
        "tags": ["persons"],
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "security": [{"PersonalAPIKeyAuth": ["person:write"]}],
        "responses": {"200": {"description": "No response body"}},
    })
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "integer", "readOnly": true},
            "name": {"type": "string", "readOnly": true},
            "distinct_ids": {"type": "array", "items": {"type": "string"}, "readOnly": true},
            "properties": {},
            "created_at": {"type": "string", "format": "date-time", "readOnly": true},
            "uuid": {"type": "string", "format": "uuid", "readOnly": true},
        },
        "required": ["created_at", "distinct_ids", "id", "name", "uuid"],
    })
}

fn split_request() -> Value {
    json!({
        "type": "object",
        "properties": {
            "main_distinct_id": {"type": "string", "nullable": true},
            "distinct_ids_to_split": {
                "type": "array",
                "items": {"type": "string"},
                "nullable": true,
            },
        },
    })
}

fn bulk_delete_request() -> Value {
    let flag = json!({"type": "boolean", "default": false});
    json!({
        "type": "object",
        "properties": {
            "ids": {"type": "array", "items": {"type": "string", "format": "uuid"}},
            "distinct_ids": {"type": "array", "items": {"type": "string"}},
            "delete_events": flag,
            "delete_recordings": flag,
            "keep_person": flag,
        },
    })
}
