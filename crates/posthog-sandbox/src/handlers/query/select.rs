//! What an actors query selects, and in which order.

use serde_json::Value as Json;

use crate::hogql::{
    From, FromSource, Item, Node, Order, QueryError, Select, has_aggregate, parse_expression,
    parse_order,
};

/// A selected column, by how its cells are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Plain,
    /// The person as an object.
    Person,
    DisplayName,
}

pub(super) struct Selection {
    pub(super) kinds: Vec<ColumnKind>,
    items: Vec<Item>,
    order: Vec<Order>,
}

/// The name and the id of a person.
fn display_name(names: &[String]) -> Result<Node, QueryError> {
    let names = names
        .iter()
        .map(|name| format!("toString(properties.`{name}`), "));
    let names: String = names.collect();
    let text = format!("tuple(coalesce({names}toString(id)), toString(id))");
    parse_expression(&text).map(|(node, _)| node)
}

fn id() -> Node {
    Node::Field(vec!["id".to_owned()])
}

impl Selection {
    /// `names` are the properties that a display name is taken from.
    pub(super) fn read(
        written: &[String],
        order: Option<&[String]>,
        names: &[String],
    ) -> Result<Self, QueryError> {
        let mut selection = Self {
            kinds: Vec::new(),
            items: Vec::new(),
            order: Vec::new(),
        };
        for text in written {
            let (node, alias) = parse_expression(text)?;
            let (kind, node) = match &node {
                Node::Field(chain) => match chain.join(".").as_str() {
                    "person" | "actor" => (ColumnKind::Person, id()),
                    "person_display_name" => (ColumnKind::DisplayName, display_name(names)?),
                    "person.$delete" => (ColumnKind::Plain, Node::Constant(Json::from(1))),
                    _ => (ColumnKind::Plain, node),
                },
                _ => (ColumnKind::Plain, node),
            };
            selection.kinds.push(kind);
            selection.items.push(Item { node, alias });
        }
        selection.order = match order {
            Some(order) => order
                .iter()
                .map(|text| parse_order(text))
                .collect::<Result<_, _>>()?,
            None => selection.default_order(written),
        };
        Ok(selection)
    }

    /// The first aggregate, `count()` before others; else the newest; else the first column.
    fn default_order(&self, written: &[String]) -> Vec<Order> {
        let node = |index: usize| self.items.get(index).map(|item| item.node.clone());
        let count = written.iter().position(|text| text == "count()");
        let aggregate = || self.items.iter().position(|item| has_aggregate(&item.node));
        let created = || written.iter().position(|text| text == "created_at");
        let descending = count.or_else(aggregate).or_else(created).and_then(node);
        let order = match descending {
            Some(node) => Some(Order {
                node,
                descending: true,
            }),
            None => node(0).map(|node| Order {
                node,
                descending: false,
            }),
        };
        order.into_iter().collect()
    }

    /// The query over the actors, of one row more than the limit.
    pub(super) fn query(self, limit: usize, offset: usize) -> Select {
        let is_key = |node: &&Node| !has_aggregate(node) && !matches!(node, Node::Constant(_));
        let nodes = self.items.iter().map(|item| &item.node);
        let is_grouped = nodes.clone().any(has_aggregate);
        let keys = nodes.filter(is_key).filter(|_| is_grouped).cloned();
        Select {
            group_by: keys.collect(),
            items: self.items,
            order_by: self.order,
            from: Some(From {
                source: FromSource::Actors,
                alias: None,
            }),
            limit: Some(Node::Constant(Json::from(limit + 1))),
            offset: Some(Node::Constant(Json::from(offset))),
            ..Select::default()
        }
    }

    /// Whether a column of the persons themselves is needed, so that actors who are not among them are left out.
    pub(super) fn needs_persons(&self, of_source: &[&str]) -> bool {
        let items = self.items.iter().map(|item| &item.node);
        let order = self.order.iter().map(|order| &order.node);
        items
            .chain(order)
            .any(|node| needs_persons(node, of_source))
    }
}

fn needs_persons(node: &Node, of_source: &[&str]) -> bool {
    let any = |nodes: &[Node]| nodes.iter().any(|node| needs_persons(node, of_source));
    match node {
        Node::Field(chain) => {
            let first = chain.first().map(String::as_str).unwrap_or_default();
            !(matches!(first, "id" | "actor_id" | "person_id") || of_source.contains(&first))
        }
        Node::Call(call) => any(&call.arguments),
        Node::And(nodes) | Node::Or(nodes) | Node::Array(nodes) | Node::Tuple(nodes) => any(nodes),
        Node::Compare(_, left, right) | Node::Index(left, right) => {
            needs_persons(left, of_source) || needs_persons(right, of_source)
        }
        Node::Not(node) => needs_persons(node, of_source),
        _ => false,
    }
}
