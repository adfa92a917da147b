//! The series of an insight: events and actions, as the caller names them (contract section 3.17).

use serde_json::Value;

use super::answer::Answer;
use super::arguments::{Arguments, EventFilters};
use super::call::Call;
use super::seed::ACTIONS;
use super::world::Event;

pub(super) struct Entity {
    /// `None` for "all events".
    event: Option<String>,
    order: i64,
    pub(super) filters: EventFilters,
}

impl Entity {
    pub(super) fn of_event(name: Option<&str>) -> Self {
        Self {
            event: name.map(str::to_owned),
            order: 0,
            filters: EventFilters::default(),
        }
    }

    /// By its name alone, without the filters.
    pub(super) fn names(&self, event: &Event) -> bool {
        self.event.as_ref().is_none_or(|name| *name == event.name)
    }

    pub(super) fn matches(&self, event: &Event) -> bool {
        self.names(event) && self.filters.accept(event, &event.person_properties)
    }
}

const FIELDS: [&str; 6] = ["id", "math", "name", "order", "properties", "type"];

/// `events` and `actions` in one sequence, by their `order`.
pub(super) fn read_entities(
    call: &mut Call<'_>,
    arguments: &Arguments,
) -> Result<Vec<Entity>, Answer> {
    let mut entities = Vec::new();
    for (list, is_action) in [("events", false), ("actions", true)] {
        for item in arguments.list(call, list)? {
            entities.push(read_entity(call, &item, is_action)?);
        }
    }
    entities.sort_by_key(|entity| entity.order);
    Ok(entities)
}

fn read_entity(call: &mut Call<'_>, item: &Value, is_action: bool) -> Result<Entity, Answer> {
    let Some(fields) = item.as_object() else {
        return Err(call.strict(format!("an entity that is no object: {item}")));
    };
    if let Some(field) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(call.strict(format!("the entity field {field:?}")));
    }
    let event = match (fields.get("id"), is_action) {
        (Some(Value::String(name)), false) => Some(name.clone()),
        (Some(Value::Null), false) => None,
        (Some(id), true) => Some(event_of_action(id)?),
        _ => return Err(call.strict(format!("an entity without a usable id: {item}"))),
    };
    let filters = match fields.get("properties") {
        None | Some(Value::Null) => EventFilters::default(),
        Some(Value::Array(items)) => EventFilters::read(call, items)?,
        Some(other) => return Err(call.strict(format!("entity properties: {other}"))),
    };
    let order = fields.get("order").and_then(Value::as_i64).unwrap_or(0);
    Ok(Entity {
        event,
        order,
        filters,
    })
}

/// Actions are known by number, which may come as text.
pub(super) fn event_of_action(id: &Value) -> Result<String, Answer> {
    let number = match id {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let known = ACTIONS.iter().find(|(action, ..)| Some(*action) == number);
    match known {
        Some((_, _, event)) => Ok((*event).to_owned()),
        None => Err(Answer::invalid(
            format!("Action ID {id} does not exist!"),
            None,
        )),
    }
}
