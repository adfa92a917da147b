//! The list of persons by a query: for times, and for filters of which one suffices, which `GET persons/` does not know.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::actor::ActorRow;
use super::hogql::HogQl;
use super::insight::{conditions, set};
use super::last_seen::LAST_SEEN;
use super::person_log::PersonCursor;
use crate::client::Client;
use crate::error::Error;
use crate::person::{Person, PersonPage};
use crate::persons_query::PersonsQuery;

/// The order of `GET persons/`.
const NEWEST_FIRST: [&str; 2] = ["created_at DESC", "id DESC"];

impl PersonsQuery {
    /// The query for these columns, of the persons after a cursor if there is one. Without the column `last_seen_at` of persons, it is computed from events.
    pub(super) fn node(
        &self,
        select: &[&str],
        has_last_seen: bool,
        after: Option<&PersonCursor>,
    ) -> Value {
        let mut fixed: Vec<Value> = Vec::new();
        if let Some(email) = &self.email {
            fixed.push(
                json!({"type": "person", "key": "email", "operator": "exact", "value": email}),
            );
        }
        let last_seen = self.last_seen.condition(LAST_SEEN);
        let times = [
            self.created.condition("created_at"),
            last_seen.filter(|_| has_last_seen),
            after.map(PersonCursor::condition),
        ];
        let times = times.into_iter().flatten();
        fixed.extend(times.map(|condition| json!({"type": "hogql", "key": condition})));
        let mut node = json!({ "kind": "ActorsQuery", "select": select });
        set(&mut node, "search", self.search.as_ref());
        set(&mut node, "properties", self.filters());
        set(
            &mut node,
            "fixedProperties",
            Some(fixed).filter(|all| !all.is_empty()),
        );
        let source = self.source(has_last_seen).map(HogQl::node);
        set(&mut node, "source", source);
        node
    }

    /// The query for rows of these columns and, where it is known, when the person was last seen.
    pub(super) fn rows(
        &self,
        columns: &[&str],
        order: [&str; 2],
        has_last_seen: bool,
        after: Option<&PersonCursor>,
    ) -> Value {
        let last_seen = has_last_seen || self.last_seen.is_bounded();
        let columns = columns.iter().copied();
        let columns: Vec<&str> = columns.chain(last_seen.then_some(LAST_SEEN)).collect();
        let mut node = self.node(&columns, has_last_seen, after);
        set(&mut node, "orderBy", Some(order));
        set(&mut node, "limit", Some(self.limit));
        node
    }

    fn filters(&self) -> Option<Value> {
        if !self.is_any_of_several() {
            return Some(conditions(&self.properties)).filter(|filters| !filters.is_null());
        }
        let each = self.properties.iter().map(|filter| {
            // One filter can need several conditions.
            match conditions(std::slice::from_ref(filter)) {
                Value::Array(mut all) if all.len() == 1 => all.pop().unwrap_or_default(),
                all => json!({ "type": "AND", "values": all }),
            }
        });
        Some(json!({ "type": "OR", "values": each.collect::<Vec<_>>() }))
    }

    /// What the persons are taken from, if not from all.
    fn source(&self, has_last_seen: bool) -> Option<HogQl> {
        if has_last_seen || !self.last_seen.is_bounded() {
            let distinct_id = self.distinct_id.as_deref()?;
            let owner =
                HogQl::new("select person_id from person_distinct_ids where distinct_id = {d}");
            return Some(owner.value("d", distinct_id));
        }
        let (from, before) = (self.last_seen.from(), self.last_seen.before());
        let mut query = HogQl::new("select person_id, max(timestamp) as last_seen_at from events");
        if let Some(distinct_id) = self.distinct_id.as_deref() {
            query = query
                .push(" where person_id in (select person_id from person_distinct_ids where distinct_id = {d})")
                .value("d", distinct_id);
        } else if from.is_some() {
            // Earlier events make no difference, and need not be read.
            query = query.push(" where timestamp >= toDateTime({from})");
        }
        query = query.push(" group by person_id having ");
        query = match (&from, &before) {
            (Some(_), Some(_)) => query
                .push("last_seen_at >= toDateTime({from}) and last_seen_at < toDateTime({before})"),
            (Some(_), None) => query.push("last_seen_at >= toDateTime({from})"),
            (None, _) => query.push("last_seen_at < toDateTime({before})"),
        };
        for (name, time) in [("from", from), ("before", before)] {
            if let Some(time) = time {
                query = query.value(name, time);
            }
        }
        Some(query)
    }
}

impl Client {
    /// The rows of [`Client::persons`] in the same order, by a query.
    pub async fn persons_by_query(&self, query: &PersonsQuery) -> Result<PersonPage, Error> {
        let node = |has_last_seen: bool| {
            let mut node = query.rows(&["person"], NEWEST_FIRST, has_last_seen, None);
            set(&mut node, "offset", Some(query.offset));
            node
        };
        let (mut response, has_last_seen) =
            self.query_with_last_seen::<ActorRow>(node, None).await?;
        let cut = response.cut_to(query.limit);
        let more = cut || response.has_more.unwrap_or(false);
        let calculated_at = response.calculated_earlier();
        let rows = response.results.into_iter();
        let mut persons: Vec<Person> = rows.filter_map(|row| row.into_listed(0)).collect();
        // As PostHog orders the rows of a page.
        persons.sort_by_key(|person| (Reverse(person.created_at_millis()), person.uuid));
        let mut page = PersonPage::of_query(persons, more);
        page.calculated_at = calculated_at;
        if query.include_total {
            page.count = self.count_by_query(query, has_last_seen).await?;
        }
        Ok(page)
    }

    /// The number of persons.
    pub(super) async fn count_by_query(
        &self,
        query: &PersonsQuery,
        has_last_seen: bool,
    ) -> Result<Option<u64>, Error> {
        let counted = query.node(&["count()"], has_last_seen, None);
        let counted = self.query::<(u64,)>(counted).await?;
        Ok(counted.results.first().map(|(count,)| *count))
    }
}
